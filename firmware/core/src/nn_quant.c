#include "nn_quant.h"

const whir_nn_real_t WHIR_NN_ONE = {UINT32_C(1) << 23, -23};

bool whir_nn_real_read(uint32_t bits, whir_nn_real_t *real)
{
    uint32_t biased = bits >> 23; /* a sign makes it larger than any exponent allowed */

    real->mantissa = 0;
    real->exponent = 0;
    if (bits == 0) {
        return true;
    }
    if (biased == 0 || biased >= 255) {
        return false;
    }
    real->mantissa = (bits & 0x7fffffu) | 0x800000u;
    real->exponent = (int32_t)biased - 150;
    return true;
}

/* Rounds mantissa * 2^exponent to 24 bits, halves to even; `inexact` when there are more bits below the mantissa. */
static bool round_to_single(uint64_t mantissa, int32_t exponent, bool inexact, whir_nn_real_t *real)
{
    int32_t drop = 0;
    uint64_t half, rest;

    while ((mantissa >> drop) >= (UINT32_C(1) << 24)) {
        drop++;
    }
    if (drop > 0) {
        half = (uint64_t)1 << (drop - 1);
        rest = mantissa & (2 * half - 1);
        mantissa >>= drop;
        if (rest > half || (rest == half && (inexact || (mantissa & 1) != 0))) {
            mantissa++;
        }
        if (mantissa == (UINT32_C(1) << 24)) {
            mantissa >>= 1;
            drop++;
        }
    }
    real->mantissa = (uint32_t)mantissa;
    real->exponent = exponent + drop;
    return real->exponent >= 1 - 150 && real->exponent <= 254 - 150;
}

/* Divides (rest : word) by the divisor one byte at a time, which keeps within the 32-bit divider of the small cores. */
static uint32_t divide_word(uint32_t word, uint32_t divisor, uint32_t *rest)
{
    uint32_t quotient = 0;

    for (int32_t i = 0; i < 4; i++) {
        *rest = (*rest << 8) | (word >> 24);
        word <<= 8;
        quotient = (quotient << 8) | (*rest / divisor);
        *rest %= divisor;
    }
    return quotient;
}

uint64_t whir_nn_divide(uint64_t value, uint32_t divisor, uint32_t *remainder)
{
    uint64_t quotient;

    *remainder = 0;
    quotient = (uint64_t)divide_word((uint32_t)(value >> 32), divisor, remainder) << 32;
    return quotient | divide_word((uint32_t)value, divisor, remainder);
}

bool whir_nn_real_divide(whir_nn_real_t a, whir_nn_real_t b, whir_nn_real_t *quotient)
{
    uint32_t remainder;
    uint64_t value;

    if (a.mantissa == 0 || b.mantissa == 0) {
        return false;
    }
    value = whir_nn_divide((uint64_t)a.mantissa << 40, b.mantissa, &remainder);
    return round_to_single(value, a.exponent - b.exponent - 40, remainder != 0, quotient);
}

int32_t whir_nn_real_round(whir_nn_real_t real)
{
    /* 24 bits: from 2^9 on the exponent is at least 9 - 23 */
    if (real.mantissa == 0 || real.exponent < -25) {
        return 0;
    }
    if (real.exponent >= 9 - 23) {
        return 512;
    }
    return (int32_t)(((real.mantissa >> (-real.exponent - 1)) + 1) >> 1);
}

bool whir_nn_factor(whir_nn_real_t a, whir_nn_real_t b, whir_nn_real_t c, whir_nn_factor_t *factor)
{
    uint64_t product = (uint64_t)a.mantissa * b.mantissa; /* 47 or 48 bits: exact in double precision */
    uint64_t quotient;
    uint32_t rest;
    int32_t exponent = a.exponent + b.exponent - c.exponent;

    factor->multiplier = 0;
    factor->shift = 0;
    if (c.mantissa == 0) {
        return false;
    }
    if (product == 0) {
        return true;
    }
    /* 55 to 57 leading bits of product / c. */
    quotient = whir_nn_divide(product, c.mantissa, &rest) << 32;
    quotient |= divide_word(0, c.mantissa, &rest);
    exponent -= 32;
    while (quotient >= ((uint64_t)1 << 54)) {
        quotient >>= 1;
        exponent++;
    }
    /*
     * The double nearest to the quotient has 53 bits; TFLM rounds it again to 31, halves up. So the quotient is rounded up
     * when its part below bit 23 is 1/2 or so close under it (half a unit of the 53rd bit) that the first rounding gives 1/2.
     */
    quotient = (quotient + (UINT32_C(1) << 22) + 1) >> 23;
    factor->shift = exponent + 54;
    if (quotient == ((uint64_t)1 << 31)) {
        quotient >>= 1;
        factor->shift++;
    }
    if (factor->shift < -31) {
        factor->shift = 0;
        quotient = 0;
    }
    factor->multiplier = (int32_t)quotient;
    return factor->shift <= 30;
}
