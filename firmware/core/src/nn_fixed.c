#include "nn_fixed.h"

int32_t whir_nn_scale(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift > 0) {
        return whir_nn_high_mul(whir_nn_shift_left(x, shift), multiplier);
    }
    return whir_nn_divide_pot(whir_nn_high_mul(x, multiplier), -shift);
}

/* x * 2^bits, saturated. */
static int32_t saturating_left(int32_t x, int32_t bits)
{
    int32_t limit = (INT32_C(1) << (31 - bits)) - 1;

    return x > limit ? INT32_MAX : x < -limit ? INT32_MIN : whir_nn_shift_left(x, bits);
}

/* exp(a) for -1/4 <= a < 0, Q0.31: Taylor around -1/8. */
static int32_t exp_quarter(int32_t a)
{
    const int32_t exp_of_minus_eighth = 1895147668;
    const int32_t one_third = 715827883;
    int32_t x = a + (INT32_C(1) << 28);
    int32_t x2 = whir_nn_high_mul(x, x);
    int32_t x3 = whir_nn_high_mul(x2, x);
    int32_t x4 = whir_nn_high_mul(x2, x2);
    int32_t x3_to_x4 = whir_nn_high_mul(whir_nn_divide_pot(x4, 2) + x3, one_third);

    return exp_of_minus_eighth + whir_nn_high_mul(exp_of_minus_eighth, x + whir_nn_divide_pot(x3_to_x4 + x2, 1));
}

int32_t whir_nn_exp_negative(int32_t a, int32_t integer_bits)
{
    /* exp(-2^k), Q0.31, for k = -2 .. 4 */
    static const int32_t FACTORS[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    int32_t quarter = INT32_C(1) << (29 - integer_bits);
    int32_t in_quarter = (a & (quarter - 1)) - quarter;
    int32_t rest = in_quarter - a; /* a multiple of 1/4: one factor per bit */
    int32_t result;

    if (a == 0) {
        return INT32_MAX;
    }
    result = exp_quarter(whir_nn_shift_left(in_quarter, integer_bits));
    for (int32_t k = 0; k < integer_bits + 2; k++) {
        if ((rest & (quarter << k)) != 0) {
            result = whir_nn_high_mul(result, FACTORS[k]);
        }
    }
    return result;
}

int32_t whir_nn_one_over_one_plus(int32_t a)
{
    /* Newton's division in Q2.29 from the linear start 48/17 - 32/17 d. */
    int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + whir_nn_high_mul(half_denominator, -1010580540);

    for (int i = 0; i < 3; i++) {
        int32_t error = (INT32_C(1) << 29) - whir_nn_high_mul(half_denominator, x);

        x += saturating_left(whir_nn_high_mul(x, error), 2);
    }
    return saturating_left(x, 1);
}
