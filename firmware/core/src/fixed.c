#include "fixed.h"
#include "tables.h"

/* Of x != 0. */
static uint32_t clz32(uint32_t x)
{
    uint32_t n = 0;

    if (x < 1u << 16) {
        x <<= 16;
        n = 16;
    }
    if (x < 1u << 24) {
        x <<= 8;
        n += 8;
    }
    if (x < 1u << 28) {
        x <<= 4;
        n += 4;
    }
    if (x < 1u << 30) {
        x <<= 2;
        n += 2;
    }
    return n + (x < 1u << 31);
}

uint32_t whir_clz64(uint64_t x)
{
    uint32_t high = (uint32_t)(x >> 32);

    return high != 0 ? clz32(high) : x != 0 ? 32 + clz32((uint32_t)x) : 64;
}

int32_t whir_log2_q16(uint64_t x)
{
    uint32_t high = (uint32_t)(x >> 32), below = (uint32_t)x;
    uint32_t whole = 63, zeros, index, rest, low, step;

    if (high == 0) {
        high = below;
        below = 0;
        whole = 31;
    }
    zeros = clz32(high);
    if (zeros != 0) { /* the leading one to the top */
        high = high << zeros | below >> (32 - zeros);
    }
    index = high >> 26 & 31; /* the 5 bits under it, and 16 more */
    rest = high >> 10 & 0xFFFF;
    low = WHIR_LOG2_Q16[index];
    step = WHIR_LOG2_Q16[index + 1] - low;
    return (int32_t)(((whole - zeros) << 16) + low + ((step * rest) >> 16));
}

uint32_t whir_isqrt64(uint64_t x)
{
    uint64_t root = 0;

    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}
