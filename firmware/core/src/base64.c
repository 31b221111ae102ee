#include "whir/base64.h"

#include <string.h>

#include "whir/contract.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void whir_base64_write(const uint8_t *data, uint32_t bytes, char *text)
{
    for (uint32_t i = 0; i < bytes; i += 3) {
        uint32_t left = bytes - i;
        uint32_t group = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
        *text++ = DIGITS[group >> 18];
        *text++ = DIGITS[group >> 12 & 63];
        *text++ = left > 1 ? DIGITS[group >> 6 & 63] : '=';
        *text++ = left > 2 ? DIGITS[group & 63] : '=';
    }
    *text = 0;
}

int whir_base64_read(const char *text, uint8_t *data, uint32_t max)
{
    uint32_t chars = (uint32_t)strlen(text), bytes = 0, bits = 0, padding = 0;

    while (padding < 2 && padding < chars && text[chars - 1 - padding] == '=') {
        padding++;
    }
    if (chars % 4 != 0) {
        return WHIR_ERR_ARG;
    }
    for (uint32_t i = 0; i < chars - padding; i++) {
        const char *digit = memchr(DIGITS, text[i], 64);
        if (digit == NULL) {
            return WHIR_ERR_ARG;
        }
        bits = bits << 6 | (uint32_t)(digit - DIGITS);
        if (i % 4 != 0) { /* each digit but a group's first makes a byte whole */
            if (bytes >= max) {
                return WHIR_ERR_ARG;
            }
            data[bytes++] = (uint8_t)(bits >> (6 - i % 4 * 2));
        }
    }
    return (int)bytes;
}
