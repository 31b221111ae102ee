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

/* False for negative, subnormal, infinite and NaN; zero is read as zero. */
bool whir_nn_real_read(uint32_t bits, whir_nn_real_t *real);

/* a / b in single precision, rounded to nearest even; false when the result is not a normal number. */
bool whir_nn_real_divide(whir_nn_real_t a, whir_nn_real_t b, whir_nn_real_t *quotient);

/* real, rounded to the nearest integer, halves up; at most 512. */
int32_t whir_nn_real_round(whir_nn_real_t real);

/* The factor for a * b / c worked out in double precision. False when c is zero or the shift exceeds 30. */
bool whir_nn_factor(whir_nn_real_t a, whir_nn_real_t b, whir_nn_real_t c, whir_nn_factor_t *factor);

/* 1.0 */
extern const whir_nn_real_t WHIR_NN_ONE;

/* value / divisor and the remainder, without a 64-bit division; divisor < 2^24. */
uint64_t whir_nn_divide(uint64_t value, uint32_t divisor, uint32_t *remainder);

#endif
