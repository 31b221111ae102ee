#include "nn_dot.h"

/* Accumulators wrap: the additions are unsigned, as signed overflow is undefined. */

void whir_nn_dot4(int32_t sums[4], const int8_t *x, const int8_t *w, uint32_t stride, uint32_t n)
{
    const int8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride, *end = x + n;
    uint32_t s0 = (uint32_t)sums[0], s1 = (uint32_t)sums[1], s2 = (uint32_t)sums[2], s3 = (uint32_t)sums[3];

    while (x != end) {
        int32_t v = *x++;

        s0 += (uint32_t)(v * *w++);
        s1 += (uint32_t)(v * *w1++);
        s2 += (uint32_t)(v * *w2++);
        s3 += (uint32_t)(v * *w3++);
    }
    sums[0] = (int32_t)s0;
    sums[1] = (int32_t)s1;
    sums[2] = (int32_t)s2;
    sums[3] = (int32_t)s3;
}

int32_t whir_nn_dot1(int32_t sum, const int8_t *x, const int8_t *w, uint32_t n)
{
    uint32_t s = (uint32_t)sum;

    for (const int8_t *end = x + n; x != end;) {
        s += (uint32_t)(*x++ * *w++);
    }
    return (int32_t)s;
}
