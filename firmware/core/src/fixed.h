#ifndef WHIR_FIXED_H
#define WHIR_FIXED_H

#include <stdint.h>

/* Fixed-point arithmetic that the signal path shares. */

/* Upper half of the 64-bit product: one instruction on RV32 and Xtensa. */
static inline int32_t whir_mulh(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b) >> 32);
}

/* Leading zero bits; 64 for 0. */
uint32_t whir_clz64(uint64_t x);

/* log2 in Q16 of x >= 1, within 2e-4. */
int32_t whir_log2_q16(uint64_t x);

/* Largest r with r * r <= x. */
uint32_t whir_isqrt64(uint64_t x);

#endif
