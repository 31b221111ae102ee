#ifndef WHIR_FFT_H
#define WHIR_FFT_H

#include <stdint.h>

/*
 * FFT of n real numbers (64 .. 1024, a power of two) as a complex FFT of n / 2, in place and unscaled. The caller keeps
 * sum(|x|) <= 2^28, so that nothing can overflow.
 */

/* Real samples come in pairs, in bit-reversed order: the first at word 0 of z, each next one at the word given here. */
uint32_t whir_fft_next(uint32_t word, uint32_t n);

/* z: n words, filled as said. */
void whir_fft_run(int32_t *z, uint32_t n);

/* |2 X[k]|^2 of the real input, k < n / 2, after whir_fft_run. */
uint64_t whir_fft_power(const int32_t *z, uint32_t n, uint32_t k);

/* Hann window (periodic), w[i] in Q30. */
int32_t whir_fft_hann(uint32_t i, uint32_t n);

#endif
