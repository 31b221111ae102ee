#include <stdio.h>

#include "esp_flash_encrypt.h"
#include "esp_mac.h"
#include "esp_secure_boot.h"
#include "port.h"
#include "psa/crypto.h"
#include "whir/csr.h"

#define SCALAR_AT 7 /* in the key as SEC1 has it */

static psa_key_id_t own;

/* In the settings' partition, which is encrypted with the flash; made once. */
static psa_status_t open_key(void)
{
    psa_key_attributes_t attributes = psa_key_attributes_init();
    whir_esp32_blob_t kept;
    uint8_t scalar[32], point[WHIR_POINT_BYTES];
    size_t bytes;
    psa_status_t status = psa_crypto_init();

    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attributes, 256);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE | PSA_KEY_USAGE_EXPORT);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    if (status != PSA_SUCCESS) {
        return status;
    }
    if (whir_esp32_own_key_read(&kept) == 0 && kept.bytes == WHIR_PRIVATE_KEY_BYTES) {
        return psa_import_key(&attributes, kept.data + SCALAR_AT, sizeof scalar, &own);
    }
    status = psa_generate_key(&attributes, &own);
    status = status != PSA_SUCCESS ? status : psa_export_key(own, scalar, sizeof scalar, &bytes);
    status = status != PSA_SUCCESS ? status : psa_export_public_key(own, point, sizeof point, &bytes);
    if (status != PSA_SUCCESS) {
        return status;
    }
    whir_private_key_write(scalar, point, kept.data);
    kept.bytes = WHIR_PRIVATE_KEY_BYTES;
    return whir_esp32_own_key_write(&kept) == 0 ? PSA_SUCCESS : PSA_ERROR_STORAGE_FAILURE;
}

static int key(whir_board_t *board, uint8_t point[WHIR_POINT_BYTES])
{
    size_t bytes;

    return (own != 0 || open_key() == PSA_SUCCESS) && psa_export_public_key(own, point, WHIR_POINT_BYTES, &bytes) == PSA_SUCCESS
               ? 0
               : WHIR_ERR_STATE;
}

static int sign(whir_board_t *board, const void *message, uint32_t bytes, uint8_t signature[64])
{
    size_t made;

    return psa_sign_message(own, PSA_ALG_ECDSA(PSA_ALG_SHA_256), message, bytes, signature, 64, &made) == PSA_SUCCESS
               ? 0
               : WHIR_ERR_STATE;
}

static void say(whir_board_t *board, const char *json, uint32_t bytes)
{
    printf("\n%.*s\n", (int)bytes, json); /* the console's prompt stands on the line before */
}

void whir_esp32_board_init(whir_board_t *board, const whir_esp32_settings_t *s)
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
                            .say = say};
}
