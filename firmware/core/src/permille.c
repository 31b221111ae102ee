#include "whir/decide.h"

#define PERMILLE_MAX 1000

/*
 * scale = mantissa * 2^exponent, so the product is exact in 64 bits (8 + 24 + 10 bits) and one rounded shift is all that is
 * left. Halves round up. A scale that is not a positive finite number gives 0, never a probability.
 */
uint16_t whir_permille(int8_t q, uint32_t scale_bits, int32_t zero_point)
{
    uint32_t biased = (scale_bits >> 23) & 0xFF;
    uint64_t mantissa = scale_bits & 0x7FFFFF;
    int32_t exponent = biased == 0 ? -149 : (int32_t)biased - 150;
    int64_t steps = (int64_t)q - zero_point;

    if ((scale_bits >> 31) != 0 || biased == 0xFF || steps <= 0) {
        return 0;
    }
    if (biased != 0) {
        mantissa |= 0x800000;
    }
    if (steps > 255) { /* a zero point outside int8, which no engine loads */
        steps = 255;
    }
    uint64_t product = (uint64_t)steps * mantissa * 1000;
    if (exponent >= 0) { /* a scale of 2^23 or more */
        return product == 0 ? 0 : PERMILLE_MAX;
    }
    if (exponent < -63) { /* product < 2^43 */
        return 0;
    }
    uint64_t rounded = (product + ((uint64_t)1 << (-exponent - 1))) >> -exponent;
    return rounded > PERMILLE_MAX ? PERMILLE_MAX : (uint16_t)rounded;
}
