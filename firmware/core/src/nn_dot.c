#include "nn_dot.h"

/* Accumulators wrap: the additions are unsigned, as signed overflow is undefined. */

void whir_nn_dot4(int32_t sums[4], const int8_t *x, const int8_t *w, uint32_t stride, uint32_t n)
{
    const int8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
    const int8_t *end = x + n, *end4 = x + (n & ~3u);
    uint32_t s0 = (uint32_t)sums[0], s1 = (uint32_t)sums[1], s2 = (uint32_t)sums[2], s3 = (uint32_t)sums[3];

/* column i: one load of x serves four rows */
#define COLUMN(i)                                                                                                              \
    do {                                                                                                                       \
        int32_t v = x[i];                                                                                                      \
        s0 += (uint32_t)(v * w[i]);                                                                                            \
        s1 += (uint32_t)(v * w1[i]);                                                                                           \
        s2 += (uint32_t)(v * w2[i]);                                                                                           \
        s3 += (uint32_t)(v * w3[i]);                                                                                           \
    } while (0)

    for (; x != end4; x += 4, w += 4, w1 += 4, w2 += 4, w3 += 4) {
        COLUMN(0);
        COLUMN(1);
        COLUMN(2);
        COLUMN(3);
    }
    for (; x != end; x++, w++, w1++, w2++, w3++) {
        COLUMN(0);
    }
#undef COLUMN
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
