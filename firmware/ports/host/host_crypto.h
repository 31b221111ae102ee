#ifndef WHIR_HOST_CRYPTO_H
#define WHIR_HOST_CRYPTO_H

#include <stdint.h>

/* The crypto seam with callbacks behind it; whir_node/crypto.py is the only caller. Verdicts as in whir/port/crypto.h. */
typedef struct host_crypto host_crypto_t;

/* The callbacks must outlive the object. NULL when memory is short. */
host_crypto_t *host_crypto_new(int (*sha256_init)(void), int (*sha256_update)(const uint8_t *data, uint32_t bytes),
                               int (*sha256_final)(uint8_t *digest),
                               int (*p256_valid)(uint32_t key_id, const uint8_t *digest, const uint8_t *sig),
                               int (*p256_make)(uint8_t *scalar, uint8_t *point),
                               int (*p256_sign)(const uint8_t *scalar, const uint8_t *message, uint32_t bytes,
                                                uint8_t *signature));
void host_crypto_free(host_crypto_t *crypto);

#endif
