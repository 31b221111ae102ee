#include "utf8.h"

uint32_t whir_utf8_length(const uint8_t *p, const uint8_t *end)
{
    uint32_t code, bytes;
    static const uint32_t SMALLEST[5] = {0, 0, 0x80, 0x800, 0x10000};

    if (p >= end) {
        return 0;
    }
    if (p[0] < 0x80) {
        return 1;
    }
    if ((p[0] & 0xE0) == 0xC0) {
        bytes = 2;
        code = p[0] & 0x1F;
    } else if ((p[0] & 0xF0) == 0xE0) {
        bytes = 3;
        code = p[0] & 0x0F;
    } else if ((p[0] & 0xF8) == 0xF0) {
        bytes = 4;
        code = p[0] & 0x07;
    } else {
        return 0;
    }
    if ((uint32_t)(end - p) < bytes) {
        return 0;
    }
    for (uint32_t i = 1; i < bytes; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        code = (code << 6) | (p[i] & 0x3F);
    }
    if (code < SMALLEST[bytes] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return 0;
    }
    return bytes;
}

uint32_t whir_utf8_encode(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | (code >> 6));
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | (code >> 12));
        out[1] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | (code >> 18));
    out[1] = (uint8_t)(0x80 | ((code >> 12) & 0x3F));
    out[2] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}
