#include "signed.h"

int whir_sha256(whir_crypto_t *crypto, const void *data, uint32_t bytes, uint8_t digest[32])
{
    int err = crypto->sha256_init(crypto);

    if (err == 0) {
        err = crypto->sha256_update(crypto, data, bytes);
    }
    return err == 0 ? crypto->sha256_final(crypto, digest) : err;
}

int whir_signed_check(whir_crypto_t *crypto, const void *data, uint32_t bytes, uint32_t key_id, const uint8_t signature[64],
                      int refused)
{
    uint8_t digest[32];
    volatile int32_t verdict;
    int err = whir_sha256(crypto, data, bytes, digest);

    if (err < 0) {
        return err;
    }
    verdict = crypto->p256_verify(crypto, key_id, digest, signature);
    /* asked twice: one skipped or faulted branch does not let anything through */
    if (verdict != WHIR_CRYPTO_VALID) {
        return refused;
    }
    if (verdict != WHIR_CRYPTO_VALID) {
        return refused;
    }
    return 0;
}
