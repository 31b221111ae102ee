#ifndef WHIR_DER_H
#define WHIR_DER_H

#include <stdint.h>

#define WHIR_DER_SEQUENCE 0x30
#define WHIR_DER_INTEGER 0x02
#define WHIR_DER_BIT_STRING 0x03

/* SubjectPublicKeyInfo of a P-256 key, up to the point */
#define WHIR_DER_P256_BYTES 26
extern const uint8_t whir_der_p256[WHIR_DER_P256_BYTES];

#endif
