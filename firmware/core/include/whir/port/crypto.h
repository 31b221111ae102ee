#ifndef WHIR_PORT_CRYPTO_H
#define WHIR_PORT_CRYPTO_H

#include <stdint.h>

#define WHIR_POINT_BYTES 65 /* of P-256, uncompressed: 4, x, y */

/* Hardened results of p256_verify: a single flipped bit turns neither into the other. Anything else is a failure too. */
#define WHIR_CRYPTO_VALID 0x3CA5965A
#define WHIR_CRYPTO_INVALID 0x435A69A5

/* Crypto seam (ESP32: PSA; host: a callback; C tests: libmbedcrypto). May block. One hash at a time. */
typedef struct whir_crypto {
    void *ctx;
    int (*sha256_init)(struct whir_crypto *crypto);
    int (*sha256_update)(struct whir_crypto *crypto, const void *data, uint32_t bytes);
    int (*sha256_final)(struct whir_crypto *crypto, uint8_t digest[32]);
    /* ECDSA P-256 over a SHA-256 digest; sig = r then s, 32 bytes each, big-endian. WHIR_CRYPTO_VALID or …_INVALID;
     * an unknown key_id is invalid. */
    int32_t (*p256_verify)(struct whir_crypto *crypto, uint32_t key_id, const uint8_t digest[32], const uint8_t sig[64]);
    /* A new P-256 key: its private number, big-endian, and its point. NULL: this port makes none, and needs no p256_sign. */
    int (*p256_make)(struct whir_crypto *crypto, uint8_t scalar[32], uint8_t point[WHIR_POINT_BYTES]);
    /* With such a number, over the SHA-256 of the message. */
    int (*p256_sign)(struct whir_crypto *crypto, const uint8_t scalar[32], const void *message, uint32_t bytes,
                     uint8_t signature[64]);
} whir_crypto_t;

#endif
