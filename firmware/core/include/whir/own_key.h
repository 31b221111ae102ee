#ifndef WHIR_OWN_KEY_H
#define WHIR_OWN_KEY_H

#include "whir/csr.h"
#include "whir/port/board.h"
#include "whir/port/crypto.h"

/* The key that a board makes for itself at the factory, once, and keeps: what its certificate request is signed with. */
typedef struct whir_own_key {
    whir_crypto_t *crypto;
    /* WHIR_PRIVATE_KEY_BYTES of SEC1. 0, or a negative code: there is none, or it cannot be kept. */
    int (*read)(uint8_t *sec1);
    int (*write)(const uint8_t *sec1);
} whir_own_key_t;

/* As board->key and board->sign. */
int whir_own_key_point(const whir_own_key_t *own, uint8_t point[WHIR_POINT_BYTES]);
int whir_own_key_sign(const whir_own_key_t *own, const void *message, uint32_t bytes, uint8_t signature[64]);

#endif
