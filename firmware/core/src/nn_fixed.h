#ifndef WHIR_NN_FIXED_H
#define WHIR_NN_FIXED_H

#include <stdint.h>

/*
 * The fixed-point steps that TensorFlow Lite Micro's reference kernels are made of, in its double-rounding form. Right
 * shifts of negative numbers are arithmetic on every compiler that the core is built with.
 */

/* A build for size calls these steps, others have them in their places. */
#if defined(__OPTIMIZE_SIZE__) && defined(__GNUC__)
#define WHIR_NN_STEP static __attribute__((noinline, unused))
#else
#define WHIR_NN_STEP static inline
#endif

/* (2 a b) / 2^32, rounded to nearest, halves upwards. */
WHIR_NN_STEP int32_t whir_nn_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (INT32_C(1) << 30)) >> 31);
}

/* x / 2^bits, rounded to nearest, halves away from zero; bits 0..31. */
WHIR_NN_STEP int32_t whir_nn_divide_pot(int32_t x, int32_t bits)
{
    int32_t mask = (int32_t)((UINT32_C(1) << bits) - 1u);
    int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);

    return (x >> bits) + ((x & mask) > threshold ? 1 : 0);
}

/* x * 2^bits without undefined overflow. */
static inline int32_t whir_nn_shift_left(int32_t x, int32_t bits)
{
    return (int32_t)((uint32_t)x << bits);
}

/* x times multiplier / 2^31 times 2^shift, rounded twice; shift -31..30. */
int32_t whir_nn_scale(int32_t x, int32_t multiplier, int32_t shift);

static inline int8_t whir_nn_clamp(int32_t x, int32_t low, int32_t high)
{
    return (int8_t)(x < low ? low : x > high ? high : x);
}

/* exp(a) as Q0.31 for a <= 0 given with `integer_bits` (4 or 5) bits left of the point. */
int32_t whir_nn_exp_negative(int32_t a, int32_t integer_bits);

/* 1 / (1 + a), both Q0.31, for 0 <= a < 1. */
int32_t whir_nn_one_over_one_plus(int32_t a);

#endif
