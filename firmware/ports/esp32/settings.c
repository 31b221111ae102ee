#include <stdlib.h>
#include <string.h>

#include "nvs.h"
#include "nvs_flash.h"
#include "port.h"
#include "sdkconfig.h"
#include "whir_board.h"

#define FACTORY "fctry"
/* Of the measuring point, beside the factory's keys: "+x-z+y", mg, 7-bit address, r/min. */
#define KEY_AXES "axes"
#define KEY_RANGE_MG "range_mg"
#define KEY_ADDRESS "address"
#define KEY_RPM "rpm" /* nominal speed of the shaft */

static int open_factory(void)
{
#ifdef CONFIG_NVS_ENCRYPTION
    nvs_sec_cfg_t keys;
    nvs_sec_scheme_t *scheme = nvs_flash_get_default_security_scheme();

    return nvs_flash_read_security_cfg_v2(scheme, &keys) == ESP_OK && nvs_flash_secure_init_partition(FACTORY, &keys) == ESP_OK
               ? 0
               : WHIR_ERR_FLASH;
#else
    return nvs_flash_init_partition(FACTORY) == ESP_OK ? 0 : WHIR_ERR_FLASH;
#endif
}

static int read_text(nvs_handle_t nvs, const char *key, char *text, size_t bytes)
{
    return nvs_get_str(nvs, key, text, &bytes) == ESP_OK ? 0 : WHIR_ERR_ARG;
}

static int read_blob(nvs_handle_t nvs, const char *key, whir_esp32_blob_t *blob)
{
    blob->bytes = sizeof blob->data;
    return nvs_get_blob(nvs, key, blob->data, &blob->bytes) == ESP_OK ? 0 : WHIR_ERR_ARG;
}

static int load_factory(whir_esp32_settings_t *s)
{
    nvs_handle_t nvs;
    int err = open_factory();

    if (err < 0 || nvs_open_from_partition(FACTORY, WHIR_NVS_FCTRY_NAMESPACE, NVS_READONLY, &nvs) != ESP_OK) {
        return WHIR_ERR_FLASH;
    }
    err = read_text(nvs, WHIR_NVS_SITE, s->site, sizeof s->site);
    err = err < 0 ? err : read_text(nvs, WHIR_NVS_NODE, s->node, sizeof s->node);
    err = err < 0 ? err : read_text(nvs, WHIR_NVS_HARDWARE, s->hardware, sizeof s->hardware);
    err = err < 0 ? err : read_blob(nvs, WHIR_NVS_CERTIFICATE, &s->certificate);
    err = err < 0 ? err : read_blob(nvs, WHIR_NVS_PRIVATE_KEY, &s->private_key);
    err = err < 0 ? err : read_blob(nvs, WHIR_NVS_BROKER_CA, &s->broker_ca);
    err = err < 0 ? err : read_blob(nvs, WHIR_NVS_BUNDLE_KEYS, &s->bundle_keys);
    (void)nvs_get_u8(nvs, WHIR_NVS_DEVELOPMENT, &s->development);
    nvs_close(nvs);
#ifdef CONFIG_SECURE_BOOT
    err = s->development ? WHIR_ERR_ARG : err; /* keys of a desk in a release */
#endif
    return err;
}

static void load_point(nvs_handle_t nvs, whir_esp32_settings_t *s)
{
    char text[12];

    if (read_text(nvs, KEY_AXES, text, sizeof text) == 0) {
        (void)whir_accel_axes(text, s->axes); /* what is none is refused when the sensor is opened */
    }
    if (read_text(nvs, KEY_RANGE_MG, text, sizeof text) == 0) {
        s->range_mg = (uint32_t)strtoul(text, NULL, 10);
    }
    if (read_text(nvs, KEY_ADDRESS, text, sizeof text) == 0) {
        s->address = (uint8_t)strtoul(text, NULL, 0);
    }
    if (read_text(nvs, KEY_RPM, text, sizeof text) == 0) {
        s->shaft_mhz = (uint32_t)(strtoul(text, NULL, 10) * 1000u / 60u);
    }
}

int whir_esp32_settings_load(whir_esp32_settings_t *s)
{
    nvs_handle_t nvs;

    memset(s, 0, sizeof *s);
    memcpy(s->axes, (const int8_t[]){1, 2, 3}, sizeof s->axes);
    s->address = WHIR_BOARD_SENSOR_ADDRESS;
    if (nvs_flash_init() != ESP_OK) { /* full or of another version: settings are lost, the identity is not */
        if (nvs_flash_erase() != ESP_OK || nvs_flash_init() != ESP_OK) {
            return WHIR_ERR_FLASH;
        }
    }
    if (nvs_open(WHIR_NVS_NVS_NAMESPACE, NVS_READONLY, &nvs) == ESP_OK) {
        (void)read_text(nvs, WHIR_NVS_WIFI_SSID, s->wifi_ssid, sizeof s->wifi_ssid);
        (void)read_text(nvs, WHIR_NVS_WIFI_PASSWORD, s->wifi_password, sizeof s->wifi_password);
        (void)read_text(nvs, WHIR_NVS_BROKER, s->broker, sizeof s->broker);
        load_point(nvs, s);
        nvs_close(nvs);
    }
    return load_factory(s);
}

static int stored(nvs_handle_t nvs, esp_err_t err)
{
    err = err == ESP_OK ? nvs_commit(nvs) : err;
    nvs_close(nvs);
    return err == ESP_OK ? 0 : WHIR_ERR_FLASH;
}

int whir_esp32_settings_set(const char *key, const char *value)
{
    static const char *const KEYS[] = {
        WHIR_NVS_WIFI_SSID, WHIR_NVS_WIFI_PASSWORD, WHIR_NVS_BROKER, KEY_AXES, KEY_RANGE_MG, KEY_ADDRESS, KEY_RPM};
    nvs_handle_t nvs;
    unsigned i = 0;

    while (i < sizeof KEYS / sizeof KEYS[0] && strcmp(KEYS[i], key) != 0) {
        i++;
    }
    if (i == sizeof KEYS / sizeof KEYS[0] || strlen(value) >= WHIR_ESP32_TEXT_BYTES) {
        return WHIR_ERR_ARG;
    }
    if (nvs_open(WHIR_NVS_NVS_NAMESPACE, NVS_READWRITE, &nvs) != ESP_OK) {
        return WHIR_ERR_FLASH;
    }
    return stored(nvs, nvs_set_str(nvs, key, value));
}

int whir_esp32_settings_reset(void)
{
    nvs_handle_t nvs;

    if (nvs_open(WHIR_NVS_NVS_NAMESPACE, NVS_READWRITE, &nvs) != ESP_OK) {
        return WHIR_ERR_FLASH;
    }
    return stored(nvs, nvs_erase_all(nvs));
}
