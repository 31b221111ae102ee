#ifndef WHIR_NN_FIXED_H
#define WHIR_NN_FIXED_H

#include <stdint.h>

/*
 * The fixed-point steps that TensorFlow Lite Micro's reference kernels are made of, in its double-rounding form. Right
 * shifts of negative numbers are arithmetic on every compiler that the core is built with.
 */

/* A build for size has plain loops and calls these steps; others have blocks of sums, and the steps in their places. */
#if defined(__OPTIMIZE_SIZE__) && !defined(WHIR_NN_FAST) && !defined(WHIR_NN_SMALL)
#define WHIR_NN_SMALL
#endif
#if defined(WHIR_NN_SMALL) && defined(__GNUC__)
#define WHIR_NN_STEP static __attribute__((noinline, unused))
#else
#define WHIR_NN_STEP static inline
#endif

/* Makes the compiler have the word ready here, in a register. */
#ifdef __GNUC__
#define WHIR_NN_KEEP(word) __asm__ volatile("" : "+r"(word)::"memory");
#else
#define WHIR_NN_KEEP(word)
#endif

/* a * twice_b / 2^32, rounded to nearest, halves upwards. Factors are given twice: the product then loses a whole word. */
WHIR_NN_STEP int32_t whir_nn_high_mul(int32_t a, uint32_t twice_b)
{
    int64_t product = (int64_t)a * twice_b;

    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
}

/* x / 2^bits, rounded to nearest, halves upwards; bits 1..32. */
static inline int32_t whir_nn_shift_right(int32_t x, int32_t bits)
{
    return ((x >> (bits - 1)) + 1) >> 1;
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
