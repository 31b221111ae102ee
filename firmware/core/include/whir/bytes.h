#ifndef WHIR_BYTES_H
#define WHIR_BYTES_H

#include <stdint.h>

#if (-1 >> 1) != -1
#error "the core needs a compiler that shifts negative numbers right arithmetically"
#endif

/* Little-endian access to unaligned bytes. */
static inline uint16_t whir_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (p[1] << 8));
}

static inline uint32_t whir_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}

static inline void whir_put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void whir_put_le32(uint8_t *p, uint32_t v)
{
    whir_put_le16(p, (uint16_t)v);
    whir_put_le16(p + 2, (uint16_t)(v >> 16));
}

/* CRC-32 (IEEE 802.3, reflected, as zlib's crc32). Start with crc = 0; chain by passing the last result. */
uint32_t whir_crc32(uint32_t crc, const void *data, uint32_t bytes);

#endif
