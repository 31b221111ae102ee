#include "fixed.h"
#include "tables.h"

uint32_t whir_clz64(uint64_t x)
{
    uint32_t v = (uint32_t)(x >> 32);
    uint32_t n = 0;

    if (v == 0) {
        v = (uint32_t)x;
        n = 32;
        if (v == 0) {
            return 64;
        }
    }
    for (uint32_t step = 16; step != 0; step >>= 1) {
        if ((v >> (32 - step)) == 0) {
            v <<= step;
            n += step;
        }
    }
    return n;
}

int32_t whir_log2_q16(uint64_t x)
{
    uint32_t zeros = whir_clz64(x);
    uint32_t fraction = (uint32_t)((x << zeros) >> 31); /* below the leading one, Q32 */
    uint32_t index = fraction >> 27;
    uint32_t rest = (fraction >> 11) & 0xFFFF;
    uint32_t low = WHIR_LOG2_Q16[index];
    uint32_t step = WHIR_LOG2_Q16[index + 1] - low;

    return (int32_t)(((63 - zeros) << 16) + low + ((step * rest) >> 16));
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
