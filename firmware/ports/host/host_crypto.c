#include "host_crypto.h"

#include <stdlib.h>

#include "seams.h"

struct host_crypto {
    whir_crypto_t seam; /* first: the seam's functions get back to this object through it */
    int (*sha256_init)(void);
    int (*sha256_update)(const uint8_t *data, uint32_t bytes);
    int (*sha256_final)(uint8_t *digest);
    int (*p256_valid)(uint32_t key_id, const uint8_t *digest, const uint8_t *sig);
    int (*p256_make)(uint8_t *scalar, uint8_t *point);
    int (*p256_sign)(const uint8_t *scalar, const uint8_t *message, uint32_t bytes, uint8_t *signature);
};

static int seam_init(whir_crypto_t *seam)
{
    return ((host_crypto_t *)seam)->sha256_init();
}

static int seam_update(whir_crypto_t *seam, const void *data, uint32_t bytes)
{
    return ((host_crypto_t *)seam)->sha256_update(data, bytes);
}

static int seam_final(whir_crypto_t *seam, uint8_t digest[32])
{
    return ((host_crypto_t *)seam)->sha256_final(digest);
}

static int32_t seam_verify(whir_crypto_t *seam, uint32_t key_id, const uint8_t digest[32], const uint8_t sig[64])
{
    /* only exactly 1 counts: what cffi gives for an exception (0) is a failure too */
    return ((host_crypto_t *)seam)->p256_valid(key_id, digest, sig) == 1 ? WHIR_CRYPTO_VALID : WHIR_CRYPTO_INVALID;
}

static int seam_make(whir_crypto_t *seam, uint8_t scalar[32], uint8_t point[WHIR_POINT_BYTES])
{
    return ((host_crypto_t *)seam)->p256_make(scalar, point);
}

static int seam_sign(whir_crypto_t *seam, const uint8_t scalar[32], const void *message, uint32_t bytes, uint8_t signature[64])
{
    return ((host_crypto_t *)seam)->p256_sign(scalar, message, bytes, signature);
}

host_crypto_t *host_crypto_new(int (*sha256_init)(void), int (*sha256_update)(const uint8_t *data, uint32_t bytes),
                               int (*sha256_final)(uint8_t *digest),
                               int (*p256_valid)(uint32_t key_id, const uint8_t *digest, const uint8_t *sig),
                               int (*p256_make)(uint8_t *scalar, uint8_t *point),
                               int (*p256_sign)(const uint8_t *scalar, const uint8_t *message, uint32_t bytes,
                                                uint8_t *signature))
{
    host_crypto_t *crypto = calloc(1, sizeof *crypto);

    if (crypto != NULL) {
        crypto->seam.sha256_init = seam_init;
        crypto->seam.sha256_update = seam_update;
        crypto->seam.sha256_final = seam_final;
        crypto->seam.p256_verify = seam_verify;
        crypto->seam.p256_make = seam_make;
        crypto->seam.p256_sign = seam_sign;
        crypto->sha256_init = sha256_init;
        crypto->sha256_update = sha256_update;
        crypto->sha256_final = sha256_final;
        crypto->p256_valid = p256_valid;
        crypto->p256_make = p256_make;
        crypto->p256_sign = p256_sign;
    }
    return crypto;
}

void host_crypto_free(host_crypto_t *crypto)
{
    free(crypto);
}

whir_crypto_t *host_crypto_seam(host_crypto_t *crypto)
{
    return &crypto->seam;
}
