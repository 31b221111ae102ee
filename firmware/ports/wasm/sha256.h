#ifndef WHIR_WASM_SHA256_H
#define WHIR_WASM_SHA256_H

#include <stdint.h>

/* SHA-256 (FIPS 180-4), for WebAssembly alone: the browser's own answers by promise, which the core cannot await. */
typedef struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
} sha256_t;

void sha256_init(sha256_t *sha);
void sha256_update(sha256_t *sha, const uint8_t *data, uint32_t bytes);
void sha256_final(sha256_t *sha, uint8_t digest[32]);

#endif
