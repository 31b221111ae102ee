#ifndef WHIR_BASE64_H
#define WHIR_BASE64_H

#include <stdint.h>

#define WHIR_BASE64_CHARS(bytes) (((bytes) + 2) / 3 * 4)
#define WHIR_BASE64_BYTES(chars) ((chars) / 4 * 3)

/* Terminated; `text` has room for WHIR_BASE64_CHARS(bytes) + 1. */
void whir_base64_write(const uint8_t *data, uint32_t bytes, char *text);
/* How many bytes; WHIR_ERR_ARG for what is no base64 (RFC 4648, with its padding, without line breaks) or longer than max. */
int whir_base64_read(const char *text, uint8_t *data, uint32_t max);

#endif
