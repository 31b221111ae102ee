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
    ratio.middle = whir_nn_divide(0, c.mantissa, &rest);
    ratio.low = whir_nn_divide(0, c.mantissa, &rest);
    return ratio;
}

int32_t whir_nn_real_steps(whir_nn_real_t bound, whir_nn_real_t scale)
{
    whir_nn_ratio_t ratio = whir_nn_ratio(bound, scale);
    /* single precision has 24 bits of the 32: halves to even, and the lowest bit tells a half from more */
    uint32_t bits = ratio.high | ((ratio.middle | ratio.low) != 0);
    uint32_t mantissa = (bits >> 8) + ((bits & 255) + ((bits >> 8) & 1) > 128);

    ratio.exponent -= 24;
    if (ratio.exponent >= 9 - 23) {
        return 512;
    }
    return ratio.exponent < -25 ? 0 : (int32_t)(((mantissa >> (-ratio.exponent - 1)) + 1) >> 1);
}

bool whir_nn_ratio_factor(const whir_nn_ratio_t *ratio, whir_nn_real_t b, whir_nn_factor_t *factor)
{
    /*
     * The double nearest to the factor has 53 bits; TFLM rounds it again to 31, halves up. So the 31 bits are rounded up when
     * what is below them is 1/2 or so close under it (2^-23: half a unit of the 53rd bit) that the first rounding gives 1/2.
     */
    const uint32_t threshold = (UINT32_C(1) << 31) - (UINT32_C(1) << 9);
    uint32_t b32 = b.mantissa << 8, multiplier, below;
    uint64_t low, product;

    /*
     * The upper 96 of 128 bits. All that was cut off is less than 2 units, which are added: a quotient of 24-bit numbers that
     * is not the threshold is farther from it than that.
     */
    low = (uint64_t)b32 * ratio->middle;
    product = (uint64_t)b32 * ratio->high + (uint32_t)(low >> 32);
    product += ((uint64_t)(uint32_t)low + (uint32_t)(((uint64_t)b32 * ratio->low) >> 32) + 2) >> 32;
    multiplier = (uint32_t)(product >> 32);
    below = (uint32_t)product;
    factor->shift = ratio->exponent + b.exponent + 23;
    if (multiplier >> 31 != 0) {
        below = (below >> 1) | (multiplier << 31);
        multiplier >>= 1;
        factor->shift++;
    }
    multiplier += below >= threshold;
    if (multiplier >> 31 != 0) {
        multiplier >>= 1;
        factor->shift++;
    }
    if (factor->shift < -31 || multiplier == 0) {
        factor->shift = 0;
        multiplier = 0;
    }
    factor->multiplier = (int32_t)multiplier;
    return factor->shift <= 30;
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
    return whir_nn_ratio_factor(&ratio, b, factor);
}
