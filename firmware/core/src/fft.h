#ifndef WHIR_FFT_H
#define WHIR_FFT_H

#include <stdint.h>

/*
 * FFT of n real numbers (64 .. 1024, a power of two) as a complex FFT of n / 2, in place and unscaled. Radix 2, decimation in
 * time, two stages in one pass: the same sums in the same order, with half the loads and stores.
 */

/* What is transformed: n * samples[i * stride] - sum, shifted left by `up` (to 30 bits at most), times the periodic Hann
 * window, shifted right by `down` (at least 1, rounding) so that the sum of its sizes is at most 2^28 and nothing overflows. */
typedef struct whir_fft_input {
    const int16_t *samples;
    uint32_t n, stride;
    int32_t sum;
    uint32_t up, down;
} whir_fft_input_t;

/* z: n words. */
void whir_fft_run(const whir_fft_input_t *input, int32_t *z);

/* Sum of |2 X[k]|^2 of the real input, from <= k < to <= n / 2, after whir_fft_run. */
uint64_t whir_fft_power(const int32_t *z, uint32_t n, uint32_t from, uint32_t to);

#endif
