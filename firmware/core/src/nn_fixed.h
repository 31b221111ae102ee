#ifndef WHIR_NN_FIXED_H
#define WHIR_NN_FIXED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The fixed-point steps that TensorFlow Lite Micro's reference kernels are made of, in its double-rounding form. Right
 * shifts of negative numbers are arithmetic on every compiler that the core is built with.
 */

/* A build for size has plain loops, and calls what is used in several places; others have blocks of sums. */
#if defined(__OPTIMIZE_SIZE__) && !defined(WHIR_NN_FAST) && !defined(WHIR_NN_SMALL)
#define WHIR_NN_SMALL
#endif

/* Makes the compiler have the word ready here, in a register. */
#ifdef __GNUC__
#define WHIR_NN_KEEP(word) __asm__ volatile("" : "+r"(word)::"memory");
#else
#define WHIR_NN_KEEP(word)
#endif

/* a * twice_b / 2^32, rounded to nearest, halves upwards. Factors are given twice: the product then loses a whole word. */
static inline int32_t whir_nn_high_mul_inline(int32_t a, uint32_t twice_b)
{
    int64_t product = (int64_t)a * twice_b;

    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
}

/* x · w with the zero point taken off x, over n bytes, at least one. */
static inline uint32_t whir_nn_dot_inline(const int8_t *x, const int8_t *w, uint32_t n, int32_t zero_point)
{
    const int8_t *end = x + n;
    uint32_t sum = 0;

    do {
        sum += (uint32_t)((*x++ - zero_point) * *w++);
    } while (x != end);
    return sum;
}

#ifdef WHIR_NN_SMALL
int32_t whir_nn_high_mul(int32_t a, uint32_t twice_b);
uint32_t whir_nn_dot(const int8_t *x, const int8_t *w, uint32_t n, int32_t zero_point);
#else
#define whir_nn_high_mul whir_nn_high_mul_inline
#define whir_nn_dot whir_nn_dot_inline
#endif

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

static inline bool whir_nn_shift_is_valid(int32_t shift)
{
    return shift >= -31 && shift <= 30;
}

/* a + b without undefined overflow: factors far above 1 make numbers of any size. */
static inline int32_t whir_nn_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int8_t whir_nn_clamp(int32_t x, int32_t low, int32_t high)
{
    return (int8_t)(x < low ? low : x > high ? high : x);
}

/* exp(a) as Q0.31 for a <= 0 given with `integer_bits` (4 or 5) bits left of the point. */
int32_t whir_nn_exp_negative(int32_t a, int32_t integer_bits);

/* 1 / (1 + a), both Q0.31, for 0 <= a < 1. */
int32_t whir_nn_one_over_one_plus(int32_t a);

#endif
