#include <stdio.h>

#include "esp_cpu.h"
#include "esp_flash_encrypt.h"
#include "esp_mac.h"
#include "esp_secure_boot.h"
#include "esp_timer.h"
#include "port.h"

static int key(whir_board_t *board, uint8_t point[WHIR_POINT_BYTES])
{
    return whir_own_key_point(&whir_esp32_own_key, point);
}

static int sign(whir_board_t *board, const void *message, uint32_t bytes, uint8_t signature[64])
{
    return whir_own_key_sign(&whir_esp32_own_key, message, bytes, signature);
}

static void say(whir_board_t *board, const char *json, uint32_t bytes)
{
    printf("\n%.*s\n", (int)bytes, json); /* the console's prompt stands on the line before */
}

static uint64_t micros(whir_board_t *board)
{
    return (uint64_t)esp_timer_get_time();
}

static uint32_t cycles(whir_board_t *board)
{
    return esp_cpu_get_cycle_count();
}

void whir_esp32_board_init(whir_board_t *board, const whir_esp32_settings_t *s, whir_crypto_t *crypto)
{
    static const char *const MODES[] = {[ESP_FLASH_ENC_MODE_DISABLED] = "none",
                                        [ESP_FLASH_ENC_MODE_DEVELOPMENT] = "development",
                                        [ESP_FLASH_ENC_MODE_RELEASE] = "release"};
    static char mac[18];
    uint8_t m[6] = {0};

    (void)esp_efuse_mac_get_default(m);
    (void)snprintf(mac, sizeof mac, MACSTR, MAC2STR(m));
    *board = (whir_board_t){.serial = s->serial,
                            .mac = mac,
                            .flash_encryption = MODES[esp_get_flash_encryption_mode()],
                            .secure_boot = esp_secure_boot_enabled(),
                            .refused = s->refused,
                            .wifi = whir_esp32_wifi_state,
                            .broker = whir_esp32_link_state,
                            .key = key,
                            .sign = sign,
                            .micros = micros,
                            .cycles = cycles,
                            .say = say};
    whir_esp32_own_key.crypto = crypto;
}
