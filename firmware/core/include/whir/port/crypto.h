#ifndef WHIR_PORT_CRYPTO_H
#define WHIR_PORT_CRYPTO_H

#include <stdint.h>

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
} whir_crypto_t;

#endif
