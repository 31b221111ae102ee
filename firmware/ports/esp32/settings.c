#include "nvs.h"
#include "nvs_flash.h"
#include "port.h"
#include "sdkconfig.h"

#define FACTORY "fctry"
#define OWN "whir_own" /* namespace of what neither factory nor installer has written */

static uint8_t unreadable; /* nvs: full, or of another version */

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

/* A blob, with bytes 0 a text, or with key NULL all of the namespace erased. */
static int write_nvs(const char *space, const char *key, const void *data, size_t bytes)
{
    nvs_handle_t nvs;
    esp_err_t err = nvs_open(space, NVS_READWRITE, &nvs);

    if (err != ESP_OK) {
        return WHIR_ERR_FLASH;
    }
    err = key == NULL ? nvs_erase_all(nvs) : bytes == 0 ? nvs_set_str(nvs, key, data) : nvs_set_blob(nvs, key, data, bytes);
    err = err == ESP_OK ? nvs_commit(nvs) : err;
    nvs_close(nvs);
    return err == ESP_OK ? 0 : WHIR_ERR_FLASH;
}

static int own_key_read(uint8_t *sec1)
{
    size_t bytes = WHIR_PRIVATE_KEY_BYTES;
    nvs_handle_t nvs;
    int err = WHIR_ERR_ARG;

    if (nvs_open(OWN, NVS_READONLY, &nvs) == ESP_OK) {
        err = nvs_get_blob(nvs, WHIR_NVS_PRIVATE_KEY, sec1, &bytes) == ESP_OK ? 0 : WHIR_ERR_ARG;
        nvs_close(nvs);
    }
    return err;
}

static int own_key_write(const uint8_t *sec1)
{
    return write_nvs(OWN, WHIR_NVS_PRIVATE_KEY, sec1, WHIR_PRIVATE_KEY_BYTES);
}

whir_own_key_t whir_esp32_own_key = {.read = own_key_read, .write = own_key_write};

static int load_factory(whir_esp32_settings_t *s)
{
    nvs_handle_t nvs;
    int err = open_factory();

    if (err < 0 || nvs_open_from_partition(FACTORY, WHIR_NVS_FCTRY_NAMESPACE, NVS_READONLY, &nvs) != ESP_OK) {
        return WHIR_ERR_FLASH;
    }
    err = read_text(nvs, WHIR_NVS_SERIAL, s->serial, sizeof s->serial);
    err = err < 0 ? err : read_text(nvs, WHIR_NVS_SITE, s->site, sizeof s->site);
    err = err < 0 ? err : read_text(nvs, WHIR_NVS_NODE, s->node, sizeof s->node);
    err = err < 0 ? err : read_text(nvs, WHIR_NVS_HARDWARE, s->hardware, sizeof s->hardware);
    err = err < 0 ? err : read_blob(nvs, WHIR_NVS_CERTIFICATE, &s->certificate);
    if (read_blob(nvs, WHIR_NVS_PRIVATE_KEY, &s->private_key) < 0 || s->private_key.bytes == 0) {
        err = err < 0 ? err : own_key_read(s->private_key.data);
        s->private_key.bytes = WHIR_PRIVATE_KEY_BYTES;
    }
    err = err < 0 ? err : read_blob(nvs, WHIR_NVS_BROKER_CA, &s->broker_ca);
    err = err < 0 ? err : read_blob(nvs, WHIR_NVS_BUNDLE_KEYS, &s->bundle_keys);
    (void)nvs_get_u8(nvs, WHIR_NVS_DEVELOPMENT, &s->development);
    nvs_close(nvs);
    return err;
}

static const char *const SETS[] = {[WHIR_STORE_KEPT] = WHIR_NVS_NVS_NAMESPACE, [WHIR_STORE_TRIED] = "whir_try"};

static int store_get(whir_store_t *store, int set, const char *key, char *text, uint32_t max)
{
    nvs_handle_t nvs;
    int err = WHIR_ERR_ARG;

    if (nvs_open(SETS[set], NVS_READONLY, &nvs) == ESP_OK) {
        err = read_text(nvs, key, text, max);
        nvs_close(nvs);
    }
    return err;
}

static int store_put(whir_store_t *store, int set, const char *key, const char *text)
{
    return write_nvs(SETS[set], key, text, 0);
}

static int store_clear(whir_store_t *store, int set)
{
    if (unreadable) { /* on somebody's word at the console, who may have to provision the board again */
        unreadable = nvs_flash_erase() != ESP_OK || nvs_flash_init() != ESP_OK;
        return unreadable ? WHIR_ERR_FLASH : 0;
    }
    return write_nvs(SETS[set], NULL, NULL, 0);
}

whir_store_t whir_esp32_store = {.get = store_get, .put = store_put, .clear = store_clear};

/* What has taken the place of the factory's. */
static void load_own(whir_esp32_settings_t *s)
{
    int bytes = whir_settings_identity(&s->own, s->operational.data, sizeof s->operational.data, s->operational_key.data);
    int pem_bytes = whir_settings_anchors(&s->own, s->anchors, sizeof s->anchors);

    s->operational.bytes = bytes < 0 ? 0 : (size_t)bytes;
    s->operational_key.bytes = WHIR_PRIVATE_KEY_BYTES;
    s->trusted = pem_bytes > 0 ? s->anchors : (const char *)s->broker_ca.data;
    s->trusted_bytes = pem_bytes > 0 ? (size_t)pem_bytes + 1 : s->broker_ca.bytes;
}

int whir_esp32_settings_load(whir_esp32_settings_t *s)
{
    int err;

    /* Never erased by itself: in it may be the only copy of the key that the board's certificate is for. */
    unreadable = nvs_flash_init() != ESP_OK;
    s->refused = unreadable ? "nvs cannot be read: factory-reset yes erases it" : "no identity in fctry";
    if (unreadable) {
        return WHIR_ERR_FLASH;
    }
    s->trial = whir_settings_load(&s->own, &whir_esp32_store);
    err = load_factory(s);
    load_own(s);
    s->refused = err < 0 ? s->refused : NULL;
#ifdef CONFIG_SECURE_BOOT
    s->refused = err < 0 ? s->refused : whir_factory_refuses(s->development, s->bundle_keys.data, s->bundle_keys.bytes);
#endif
    return err;
}
