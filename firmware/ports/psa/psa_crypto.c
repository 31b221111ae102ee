#include "psa/crypto.h"
#include "psa_crypto.h"
#include "whir/bytes.h"
#include "whir/factory.h"

static psa_hash_operation_t hash;
static const uint8_t *trusted;
static uint32_t trusted_bytes;

#define TOLD(status) ((status) == PSA_SUCCESS ? 0 : WHIR_ERR_STATE)

static int sha256_init(whir_crypto_t *crypto)
{
    (void)crypto;
    (void)psa_hash_abort(&hash);
    hash = psa_hash_operation_init();
    return TOLD(psa_hash_setup(&hash, PSA_ALG_SHA_256));
}

static int sha256_update(whir_crypto_t *crypto, const void *data, uint32_t bytes)
{
    (void)crypto;
    return TOLD(psa_hash_update(&hash, data, bytes));
}

static int sha256_final(whir_crypto_t *crypto, uint8_t digest[32])
{
    size_t bytes;

    (void)crypto;
    return TOLD(psa_hash_finish(&hash, digest, 32, &bytes));
}

static int32_t p256_verify(whir_crypto_t *crypto, uint32_t key_id, const uint8_t digest[32], const uint8_t sig[64])
{
    psa_key_attributes_t attributes = psa_key_attributes_init();
    psa_status_t status = PSA_ERROR_DOES_NOT_EXIST;
    psa_key_id_t key = 0;
    uint32_t at = 0;

    (void)crypto;
    while (at < trusted_bytes && whir_le32(trusted + at) != key_id) {
        at += WHIR_BUNDLE_KEY_BYTES;
    }
    if (at < trusted_bytes) {
        psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
        psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
        psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
        status = psa_import_key(&attributes, trusted + at + 4, WHIR_POINT_BYTES, &key);
    }
    if (status == PSA_SUCCESS) {
        status = psa_verify_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, sig, 64);
        (void)psa_destroy_key(key);
    }
    return status == PSA_SUCCESS ? WHIR_CRYPTO_VALID : WHIR_CRYPTO_INVALID;
}

static psa_key_attributes_t pair(void)
{
    psa_key_attributes_t attributes = psa_key_attributes_init();

    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attributes, 256);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE | PSA_KEY_USAGE_EXPORT);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    return attributes;
}

static int p256_make(whir_crypto_t *crypto, uint8_t scalar[32], uint8_t point[WHIR_POINT_BYTES])
{
    psa_key_attributes_t attributes = pair();
    psa_key_id_t key = 0;
    size_t bytes;
    psa_status_t status = psa_generate_key(&attributes, &key);

    (void)crypto;
    status = status != PSA_SUCCESS ? status : psa_export_key(key, scalar, 32, &bytes);
    status = status != PSA_SUCCESS ? status : psa_export_public_key(key, point, WHIR_POINT_BYTES, &bytes);
    (void)psa_destroy_key(key);
    return TOLD(status);
}

static int p256_sign(whir_crypto_t *crypto, const uint8_t scalar[32], const void *message, uint32_t bytes,
                     uint8_t signature[64])
{
    psa_key_attributes_t attributes = pair();
    psa_key_id_t key = 0;
    size_t made;
    psa_status_t status = psa_import_key(&attributes, scalar, 32, &key);

    (void)crypto;
    status = status != PSA_SUCCESS
                 ? status
                 : psa_sign_message(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), message, bytes, signature, 64, &made);
    (void)psa_destroy_key(key);
    return TOLD(status);
}

int whir_psa_crypto(whir_crypto_t *crypto, const uint8_t *keys, uint32_t bytes)
{
    int are_keys = bytes % WHIR_BUNDLE_KEY_BYTES == 0 && bytes / WHIR_BUNDLE_KEY_BYTES <= WHIR_BUNDLE_KEYS_MAX;

    trusted = keys;
    trusted_bytes = are_keys ? bytes : 0;
    *crypto = (whir_crypto_t){
        .sha256_init = sha256_init,
        .sha256_update = sha256_update,
        .sha256_final = sha256_final,
        .p256_verify = p256_verify,
        .p256_make = p256_make,
        .p256_sign = p256_sign,
    };
    return !are_keys ? WHIR_ERR_ARG : TOLD(psa_crypto_init());
}
