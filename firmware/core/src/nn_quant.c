#include "nn_quant.h"

const whir_nn_real_t WHIR_NN_ONE = {UINT32_C(1) << 23, -23};

/* One byte at a time, which keeps within the 32-bit divider of the small cores. */
uint32_t whir_nn_divide(uint32_t word, uint32_t divisor, uint32_t *rest)
{
    uint32_t quotient = 0, r = *rest;

    for (int32_t i = 0; i < 4; i++) {
        r = (r << 8) | (word >> 24);
        word <<= 8;
        quotient = (quotient << 8) | (r / divisor);
        r %= divisor;
    }
    *rest = r;
    return quotient;
}

whir_nn_ratio_t whir_nn_ratio(whir_nn_real_t a, whir_nn_real_t c)
{
    uint32_t whole = a.mantissa >= c.mantissa, rest = a.mantissa >> whole;
    whir_nn_ratio_t ratio;

    ratio.exponent = a.exponent - c.exponent + (int32_t)whole;
    ratio.high = whir_nn_divide(whole ? a.mantissa << 31 : 0, c.mantissa, &rest);
    ratio.low = whir_nn_divide(0, c.mantissa, &rest);
    ratio.divisor = c.mantissa;
    return ratio;
}

int32_t whir_nn_real_steps(whir_nn_real_t bound, whir_nn_real_t scale)
{
    whir_nn_ratio_t ratio = whir_nn_ratio(bound, scale);
    /* single precision has 24 bits of the 32: halves to even, and the lowest bit tells a half from more */
    uint32_t bits = ratio.high | (ratio.low != 0);
    uint32_t mantissa = (bits >> 8) + ((bits & 255) + ((bits >> 8) & 1) > 128);

    ratio.exponent -= 24;
    if (ratio.exponent >= 9 - 23) {
        return 512;
    }
    return ratio.exponent < -25 ? 0 : (int32_t)(((mantissa >> (-ratio.exponent - 1)) + 1) >> 1);
}

whir_nn_factor_t whir_nn_ratio_factor(const whir_nn_ratio_t *ratio, whir_nn_real_t b)
{
    /*
     * The double nearest to the factor has 53 bits; TFLM rounds it again to 31, halves up. So the 31 bits are rounded up when
     * what is below them is 1/2 or so close under it (2^-23: half a unit of the 53rd bit) that the first rounding gives 1/2.
     */
    uint32_t threshold = (UINT32_C(1) << 31) - (UINT32_C(1) << 9), up = 0;
    uint32_t b32 = b.mantissa << 8;
    uint64_t product = (uint64_t)b32 * ratio->high + (((uint64_t)b32 * ratio->low) >> 32); /* less than 2 units too small */
    uint32_t multiplier = (uint32_t)(product >> 32), below = (uint32_t)product;
    whir_nn_factor_t factor;

    factor.shift = ratio->exponent + b.exponent + 23;
    if (multiplier >> 31 != 0) {
        threshold <<= 1;
        up = multiplier & 1;
        multiplier >>= 1;
        factor.shift++;
    }
    /*
     * One unit under the threshold the quotient may still reach it: times the divisor, it is a * b * 2^39 or 2^40, whose low
     * word is 0, and the difference from the threshold's multiple has few bits: its sign tells.
     */
    up |= below >= threshold || (below + 1 == threshold && (int32_t)(threshold * ratio->divisor) <= 0);
    multiplier += up;
    if (multiplier >> 31 != 0) {
        multiplier >>= 1;
        factor.shift++;
    }
    if (factor.shift < -31 || multiplier == 0) {
        factor.shift = 0;
        multiplier = 0;
    }
    factor.multiplier = (int32_t)multiplier;
    return factor;
}

bool whir_nn_factor(whir_nn_real_t a, whir_nn_real_t b, whir_nn_real_t c, whir_nn_factor_t *factor)
{
    whir_nn_ratio_t ratio;

    factor->multiplier = 0;
    factor->shift = 0;
    if (a.mantissa == 0 || c.mantissa == 0) {
        return c.mantissa != 0;
    }
    ratio = whir_nn_ratio(a, c);
    *factor = whir_nn_ratio_factor(&ratio, b);
    return factor->shift <= 30;
}
