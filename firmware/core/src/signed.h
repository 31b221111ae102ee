#ifndef WHIR_SIGNED_H
#define WHIR_SIGNED_H

#include <stdint.h>

#include "whir/port/crypto.h"

int whir_sha256(whir_crypto_t *crypto, const void *data, uint32_t bytes, uint8_t digest[32]);
/* 0 when `signature` over SHA-256 of the data verifies, else `refused`, or the crypto port's own code. */
int whir_signed_check(whir_crypto_t *crypto, const void *data, uint32_t bytes, uint32_t key_id, const uint8_t signature[64],
                      int refused);

#endif
