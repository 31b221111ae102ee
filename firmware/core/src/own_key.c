#include "whir/own_key.h"

#include <string.h>

#define SCALAR_AT 7 /* in the key as SEC1 has it */
#define POINT_AT (WHIR_PRIVATE_KEY_BYTES - WHIR_POINT_BYTES)

static int make(const whir_own_key_t *own, uint8_t *sec1)
{
    uint8_t scalar[32], point[WHIR_POINT_BYTES];
    int err = own->crypto->p256_make(own->crypto, scalar, point);

    if (err < 0) {
        return err;
    }
    whir_private_key_write(scalar, point, sec1);
    return own->write(sec1); /* one that is forgotten must not be certified */
}

int whir_own_key_point(const whir_own_key_t *own, uint8_t point[WHIR_POINT_BYTES])
{
    uint8_t sec1[WHIR_PRIVATE_KEY_BYTES];
    int err = own->read(sec1) == 0 ? 0 : make(own, sec1);

    memcpy(point, sec1 + POINT_AT, err < 0 ? 0 : WHIR_POINT_BYTES);
    return err;
}

int whir_own_key_sign(const whir_own_key_t *own, const void *message, uint32_t bytes, uint8_t signature[64])
{
    uint8_t sec1[WHIR_PRIVATE_KEY_BYTES];
    int err = own->read(sec1);

    return err < 0 ? err : own->crypto->p256_sign(own->crypto, sec1 + SCALAR_AT, message, bytes, signature);
}
