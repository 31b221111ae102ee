#ifndef WHIR_MBED_CRYPTO_H
#define WHIR_MBED_CRYPTO_H

#include <stdint.h>

#include "whir/port/crypto.h"

#define MBED_KEY_ID 7u

/* The crypto seam on libmbedcrypto, with one known public key (MBED_KEY_ID). */
whir_crypto_t *mbed_crypto(void);
/* SHA-256 and signature, r then s; `foreign` signs with a key that no node knows. */
void mbed_sha256(const void *data, uint32_t bytes, uint8_t digest[32]);
void mbed_sign(const uint8_t digest[32], uint8_t sig[64], int foreign);

#endif
