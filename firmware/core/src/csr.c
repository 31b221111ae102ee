#include "whir/csr.h"

#include <string.h>

#include "der.h"
#include "whir/contract.h"

#define SEQUENCE WHIR_DER_SEQUENCE
#define INTEGER WHIR_DER_INTEGER
#define BIT_STRING WHIR_DER_BIT_STRING
#define INFO_MAX_BYTES 208u /* of what is signed */

static const uint8_t ECDSA_SHA256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
/* ecPublicKey on prime256v1, and the bit string's head */
const uint8_t whir_der_p256[WHIR_DER_P256_BYTES] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
static const uint8_t COMMON_NAME[] = {0x06, 0x03, 0x55, 0x04, 0x03};

/* DER is written from its end, so that each length is known when it is due. */
typedef struct writer {
    uint8_t *data;
    uint32_t at; /* of the first byte that is written */
} writer_t;

static void put(writer_t *w, const void *data, uint32_t bytes)
{
    if (bytes > w->at) { /* never: WHIR_CSR_MAX_BYTES and INFO_MAX_BYTES hold the longest there are */
        return;
    }
    w->at -= bytes;
    memcpy(w->data + w->at, data, bytes);
}

static void put_byte(writer_t *w, uint32_t value)
{
    uint8_t byte = (uint8_t)value;

    put(w, &byte, 1);
}

/* Head of everything from here to `end`. */
static void wrap(writer_t *w, uint8_t tag, uint32_t end)
{
    uint32_t bytes = end - w->at;

    put_byte(w, bytes);
    if (bytes > 0xff) {
        put_byte(w, bytes >> 8);
        put_byte(w, 0x82);
    } else if (bytes > 0x7f) {
        put_byte(w, 0x81);
    }
    put_byte(w, tag);
}

/* Unsigned, big-endian: no more zeros in front than its sign asks for. */
static void put_integer(writer_t *w, const uint8_t number[32])
{
    uint32_t end = w->at, zeros = 0;

    while (zeros < 31 && number[zeros] == 0) {
        zeros++;
    }
    put(w, number + zeros, 32 - zeros);
    if (w->data[w->at] & 0x80) {
        put_byte(w, 0);
    }
    wrap(w, INTEGER, end);
}

/* CertificationRequestInfo: version 0, the name, the key, no attributes. */
static void put_info(writer_t *w, const char *common_name, const uint8_t point[WHIR_POINT_BYTES])
{
    static const uint8_t VERSION[] = {INTEGER, 1, 0}, ATTRIBUTES[] = {0xa0, 0};
    uint32_t end = w->at, name_end;

    put(w, ATTRIBUTES, sizeof ATTRIBUTES);
    put(w, point, WHIR_POINT_BYTES);
    put(w, whir_der_p256, WHIR_DER_P256_BYTES);
    name_end = w->at;
    put(w, common_name, (uint32_t)strlen(common_name));
    wrap(w, 0x0c, name_end); /* UTF8String */
    put(w, COMMON_NAME, sizeof COMMON_NAME);
    wrap(w, SEQUENCE, name_end);
    wrap(w, 0x31, name_end); /* SET */
    wrap(w, SEQUENCE, name_end);
    put(w, VERSION, sizeof VERSION);
    wrap(w, SEQUENCE, end);
}

int whir_csr_write(const uint8_t point[WHIR_POINT_BYTES], const char *common_name, whir_csr_sign_t sign, void *signer,
                   uint8_t der[WHIR_CSR_MAX_BYTES])
{
    uint8_t signature[64], info[INFO_MAX_BYTES];
    writer_t signed_part = {info, INFO_MAX_BYTES}, w = {der, WHIR_CSR_MAX_BYTES};
    uint32_t bytes;
    int err;

    if (strlen(common_name) > WHIR_CSR_NAME_MAX_BYTES) {
        return WHIR_ERR_ARG;
    }
    put_info(&signed_part, common_name, point);
    bytes = INFO_MAX_BYTES - signed_part.at;
    err = sign(signer, info + signed_part.at, bytes, signature);
    if (err < 0) {
        return err;
    }
    put_integer(&w, signature + 32);
    put_integer(&w, signature);
    wrap(&w, SEQUENCE, WHIR_CSR_MAX_BYTES);
    put_byte(&w, 0); /* no bits unused */
    wrap(&w, BIT_STRING, WHIR_CSR_MAX_BYTES);
    put(&w, ECDSA_SHA256, sizeof ECDSA_SHA256);
    put(&w, info + signed_part.at, bytes);
    wrap(&w, SEQUENCE, WHIR_CSR_MAX_BYTES);
    bytes = WHIR_CSR_MAX_BYTES - w.at;
    memmove(der, der + w.at, bytes);
    return (int)bytes;
}

void whir_private_key_write(const uint8_t scalar[32], const uint8_t point[WHIR_POINT_BYTES],
                            uint8_t der[WHIR_PRIVATE_KEY_BYTES])
{
    static const uint8_t HEAD[] = {0x30, 0x77, INTEGER, 1, 1, 0x04, 32};
    static const uint8_t CURVE_AND_POINT[] = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                              0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00};
    writer_t w = {der, WHIR_PRIVATE_KEY_BYTES};

    put(&w, point, WHIR_POINT_BYTES);
    put(&w, CURVE_AND_POINT, sizeof CURVE_AND_POINT);
    put(&w, scalar, 32);
    put(&w, HEAD, sizeof HEAD);
}
