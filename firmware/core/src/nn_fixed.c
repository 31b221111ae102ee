#include "nn_fixed.h"

#ifdef WHIR_NN_SMALL
int32_t whir_nn_high_mul(int32_t a, uint32_t twice_b)
{
    return whir_nn_high_mul_inline(a, twice_b);
}

uint32_t whir_nn_dot(const int8_t *x, const int8_t *w, uint32_t n, int32_t zero_point)
{
    return whir_nn_dot_inline(x, w, n, zero_point);
}
#endif

int32_t whir_nn_scale(int32_t x, int32_t multiplier, int32_t shift)
{
    int32_t value;

    if (shift >= 0) {
        return whir_nn_high_mul(whir_nn_shift_left(x, shift), 2 * (uint32_t)multiplier);
    }
    value = whir_nn_high_mul(x, 2 * (uint32_t)multiplier);
    return whir_nn_shift_right(value + (value >> 31), -shift); /* halves away from zero */
}

/* exp(a) for -1/4 <= a < 0, Q0.31: Taylor around -1/8. */
static int32_t exp_quarter(int32_t a)
{
    const uint32_t exp_of_minus_eighth = 1895147668, one_third = 715827883;
    int32_t x = a + (INT32_C(1) << 28);
    int32_t x2 = whir_nn_high_mul(x < 0 ? -x : x, 2 * (uint32_t)(x < 0 ? -x : x));
    int32_t x3 = whir_nn_high_mul(x, 2 * (uint32_t)x2);
    int32_t x4 = whir_nn_high_mul(x2, 2 * (uint32_t)x2);
    int32_t x3_to_x4 = whir_nn_high_mul(whir_nn_shift_right(x4, 2) + x3, 2 * one_third);

    x += whir_nn_shift_right(x3_to_x4 + x2, 1);
    return (int32_t)exp_of_minus_eighth + whir_nn_high_mul(x, 2 * exp_of_minus_eighth);
}

int32_t whir_nn_exp_negative(int32_t a, int32_t integer_bits)
{
    /* exp(-2^k), Q0.31, for k = -2 .. 4 */
    static const uint32_t FACTORS[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const uint32_t *factor = FACTORS;
    int32_t quarter = INT32_C(1) << (29 - integer_bits);
    int32_t in_quarter = (a & (quarter - 1)) - quarter;
    uint32_t rest = (uint32_t)(in_quarter - a) >> (29 - integer_bits); /* quarters: one factor per bit */
    int32_t result;

    if (a == 0) {
        return INT32_MAX;
    }
    result = exp_quarter(whir_nn_shift_left(in_quarter, integer_bits));
    for (; rest != 0; rest >>= 1, factor++) {
        if ((rest & 1) != 0) {
            result = whir_nn_high_mul(result, 2 * *factor);
        }
    }
    return result;
}

int32_t whir_nn_one_over_one_plus(int32_t a)
{
    /* Newton's division in Q2.29 from the linear start 48/17 - 32/17 d. */
    uint32_t denominator = (uint32_t)a + 0x80000000u; /* half of it as Q0.31, given twice */
    int32_t x = 1515870810 + whir_nn_high_mul(-1010580540, denominator & ~1u);

    for (int i = 0; i < 3; i++) {
        int32_t error = (INT32_C(1) << 29) - whir_nn_high_mul(x, denominator & ~1u);

        x += whir_nn_high_mul(error, 2 * (uint32_t)x) * 4; /* never saturates: tried for every a */
    }
    return x >= INT32_C(1) << 30 ? INT32_MAX : x * 2;
}
