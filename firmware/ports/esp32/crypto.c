#include <string.h>

#include "port.h"
#include "psa/crypto.h"
#include "whir/bytes.h"

static psa_hash_operation_t hash;
static struct {
    uint32_t id;
    psa_key_id_t key;
} keys[WHIR_BUNDLE_KEYS_MAX];

#define TOLD(status) ((status) == PSA_SUCCESS ? 0 : WHIR_ERR_STATE)

static int sha256_init(whir_crypto_t *crypto)
{
    (void)psa_hash_abort(&hash);
    hash = psa_hash_operation_init();
    return TOLD(psa_hash_setup(&hash, PSA_ALG_SHA_256));
}

static int sha256_update(whir_crypto_t *crypto, const void *data, uint32_t bytes)
{
    return TOLD(psa_hash_update(&hash, data, bytes));
}

static int sha256_final(whir_crypto_t *crypto, uint8_t digest[32])
{
    size_t bytes;

    return TOLD(psa_hash_finish(&hash, digest, 32, &bytes));
}

static int32_t p256_verify(whir_crypto_t *crypto, uint32_t key_id, const uint8_t digest[32], const uint8_t sig[64])
{
    for (int i = 0; i < WHIR_BUNDLE_KEYS_MAX; i++) {
        if (keys[i].key != 0 && keys[i].id == key_id) {
            psa_status_t status = psa_verify_hash(keys[i].key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, sig, 64);
            return status == PSA_SUCCESS ? WHIR_CRYPTO_VALID : WHIR_CRYPTO_INVALID;
        }
    }
    return WHIR_CRYPTO_INVALID;
}

int whir_esp32_crypto_init(whir_crypto_t *crypto, const whir_esp32_blob_t *blob)
{
    psa_key_attributes_t attributes = psa_key_attributes_init();

    if (psa_crypto_init() != PSA_SUCCESS || blob->bytes % WHIR_BUNDLE_KEY_BYTES != 0 ||
        blob->bytes / WHIR_BUNDLE_KEY_BYTES > WHIR_BUNDLE_KEYS_MAX) {
        return WHIR_ERR_ARG;
    }
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    for (size_t i = 0; i < blob->bytes / WHIR_BUNDLE_KEY_BYTES; i++) {
        const uint8_t *entry = blob->data + i * WHIR_BUNDLE_KEY_BYTES;
        keys[i].id = whir_le32(entry);
        if (psa_import_key(&attributes, entry + 4, WHIR_POINT_BYTES, &keys[i].key) != PSA_SUCCESS) {
            return WHIR_ERR_ARG;
        }
    }
    *crypto = (whir_crypto_t){
        .sha256_init = sha256_init, .sha256_update = sha256_update, .sha256_final = sha256_final, .p256_verify = p256_verify};
    return 0;
}
