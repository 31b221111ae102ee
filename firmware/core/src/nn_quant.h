#ifndef WHIR_NN_QUANT_H
#define WHIR_NN_QUANT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Scales are IEEE-754 single precision. What TensorFlow Lite Micro works out from them in float and double is worked out
 * here from their bits, in integers, to the last bit.
 */
typedef struct whir_nn_real {
    uint32_t mantissa; /* 24 bits, the highest set; 0 for zero */
    int32_t exponent;  /* value = mantissa * 2^exponent */
} whir_nn_real_t;

/* A factor as the kernels apply it: multiplier / 2^31 * 2^shift. */
typedef struct whir_nn_factor {
    int32_t multiplier;
    int32_t shift;
} whir_nn_factor_t;

/* Not negative, subnormal, infinite or NaN: zero or an exponent between the extremes. A sign makes it larger than any. */
static inline bool whir_nn_real_is_valid(uint32_t bits)
{
    return bits == 0 || (bits >> 23) - 1 < 254;
}

/* Of bits that are valid. */
static inline whir_nn_real_t whir_nn_real(uint32_t bits)
{
    whir_nn_real_t real = {0, 0};

    if (bits != 0) {
        real.mantissa = (bits & 0x7fffffu) | 0x800000u;
        real.exponent = (int32_t)(bits >> 23) - 150;
    }
    return real;
}

/* bound / scale worked out in single precision, then rounded to the nearest integer, halves up; at most 512. */
int32_t whir_nn_real_steps(whir_nn_real_t bound, whir_nn_real_t scale);

/* a / c cut off behind 64 bits, for many factors that differ in b only: words / 2^64 * 2^exponent, the highest bit set. */
typedef struct whir_nn_ratio {
    uint32_t high, low;
    uint32_t divisor; /* c's mantissa */
    int32_t exponent;
} whir_nn_ratio_t;

/* Neither may be zero. */
whir_nn_ratio_t whir_nn_ratio(whir_nn_real_t a, whir_nn_real_t c);
/* The factor for ratio * b worked out in double precision. One whose shift exceeds 30 cannot be applied. */
whir_nn_factor_t whir_nn_ratio_factor(const whir_nn_ratio_t *ratio, whir_nn_real_t b);
/* The same for a * b / c. False when the factor cannot be applied, or c is zero. */
bool whir_nn_factor(whir_nn_real_t a, whir_nn_real_t b, whir_nn_real_t c, whir_nn_factor_t *factor);

/* 1.0 */
extern const whir_nn_real_t WHIR_NN_ONE;

/* (rest : word) / divisor with the remainder left in rest; rest < divisor <= 2^24. */
uint32_t whir_nn_divide(uint32_t word, uint32_t divisor, uint32_t *rest);

#endif
