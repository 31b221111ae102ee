#include "mbed_crypto.h"

#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/sha256.h>

#include "check.h"

typedef struct {
    whir_crypto_t seam; /* first */
    mbedtls_sha256_context sha;
    mbedtls_ecp_group group;
    mbedtls_ecp_point public_key;
    mbedtls_mpi private_key, foreign_key;
} mbed_t;

/* Counts up: enough for signatures that protect nothing. */
static int test_random(void *context, unsigned char *out, size_t bytes)
{
    static unsigned char counter;

    (void)context;
    for (size_t i = 0; i < bytes; i++) {
        out[i] = ++counter;
    }
    return 0;
}

static int sha_init(whir_crypto_t *seam)
{
    mbedtls_sha256_init(&((mbed_t *)seam)->sha);
    return mbedtls_sha256_starts_ret(&((mbed_t *)seam)->sha, 0);
}

static int sha_update(whir_crypto_t *seam, const void *data, uint32_t bytes)
{
    return mbedtls_sha256_update_ret(&((mbed_t *)seam)->sha, data, bytes);
}

static int sha_final(whir_crypto_t *seam, uint8_t digest[32])
{
    return mbedtls_sha256_finish_ret(&((mbed_t *)seam)->sha, digest);
}

static int32_t p256_compute(const mbed_t *mbed, const uint8_t digest[32], const uint8_t sig[64])
{
    mbedtls_mpi r, s;
    int err;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    CHECK_EQUAL(mbedtls_mpi_read_binary(&r, sig, 32), 0);
    CHECK_EQUAL(mbedtls_mpi_read_binary(&s, sig + 32, 32), 0);
    err = mbedtls_ecdsa_verify((mbedtls_ecp_group *)&mbed->group, digest, 32, &mbed->public_key, &r, &s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return err == 0 ? WHIR_CRYPTO_VALID : WHIR_CRYPTO_INVALID;
}

/* The power-cut tests verify the same few bundles thousands of times: the last verdicts are kept. */
static int32_t p256_verify(whir_crypto_t *seam, uint32_t key_id, const uint8_t digest[32], const uint8_t sig[64])
{
    static struct {
        uint8_t digest[32], sig[64];
        int32_t verdict;
    } kept[4];
    static uint32_t next;

    if (key_id != MBED_KEY_ID) {
        return WHIR_CRYPTO_INVALID;
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (kept[i].verdict != 0 && memcmp(kept[i].digest, digest, 32) == 0 && memcmp(kept[i].sig, sig, 64) == 0) {
            return kept[i].verdict;
        }
    }
    next = (next + 1) % 4;
    memcpy(kept[next].digest, digest, 32);
    memcpy(kept[next].sig, sig, 64);
    kept[next].verdict = p256_compute((const mbed_t *)seam, digest, sig);
    return kept[next].verdict;
}

static mbed_t *mbed_get(void)
{
    static mbed_t mbed;

    if (mbed.seam.sha256_init == NULL) {
        mbed.seam = (whir_crypto_t){
            .sha256_init = sha_init, .sha256_update = sha_update, .sha256_final = sha_final, .p256_verify = p256_verify};
        mbedtls_ecp_group_init(&mbed.group);
        mbedtls_ecp_point_init(&mbed.public_key);
        mbedtls_mpi_init(&mbed.private_key);
        mbedtls_mpi_init(&mbed.foreign_key);
        CHECK_EQUAL(mbedtls_ecp_group_load(&mbed.group, MBEDTLS_ECP_DP_SECP256R1), 0);
        CHECK_EQUAL(mbedtls_mpi_lset(&mbed.private_key, 0x5EED), 0);
        CHECK_EQUAL(mbedtls_mpi_lset(&mbed.foreign_key, 0xBAD), 0);
        CHECK_EQUAL(mbedtls_ecp_mul(&mbed.group, &mbed.public_key, &mbed.private_key, &mbed.group.G, test_random, NULL), 0);
    }
    return &mbed;
}

whir_crypto_t *mbed_crypto(void)
{
    return &mbed_get()->seam;
}

void mbed_sha256(const void *data, uint32_t bytes, uint8_t digest[32])
{
    CHECK_EQUAL(mbedtls_sha256_ret(data, bytes, digest, 0), 0);
}

void mbed_sign(const uint8_t digest[32], uint8_t sig[64], int foreign)
{
    mbed_t *mbed = mbed_get();
    mbedtls_mpi r, s;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    CHECK_EQUAL(mbedtls_ecdsa_sign(&mbed->group, &r, &s, foreign ? &mbed->foreign_key : &mbed->private_key, digest, 32,
                                   test_random, NULL),
                0);
    CHECK_EQUAL(mbedtls_mpi_write_binary(&r, sig, 32), 0);
    CHECK_EQUAL(mbedtls_mpi_write_binary(&s, sig + 32, 32), 0);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
}
