#ifndef WHIR_NN_DOT_H
#define WHIR_NN_DOT_H

#include <stdint.h>

/* sums[r] += x · row r, for 4 rows of weights that lie `stride` apart. */
void whir_nn_dot4(int32_t sums[4], const int8_t *x, const int8_t *w, uint32_t stride, uint32_t n);
/* sum + x · w */
int32_t whir_nn_dot1(int32_t sum, const int8_t *x, const int8_t *w, uint32_t n);

#endif
