#ifndef WHIR_UTF8_H
#define WHIR_UTF8_H

#include <stdint.h>

/* Bytes of the well-formed UTF-8 sequence at `p` (RFC 3629: no overlong forms, no surrogates), 0 when there is none. */
uint32_t whir_utf8_length(const uint8_t *p, const uint8_t *end);
/* Encodes a code point that is not a surrogate; returns 1 to 4. */
uint32_t whir_utf8_encode(uint32_t code, uint8_t out[4]);

#endif
