#ifndef WHIR_AXIS_H
#define WHIR_AXIS_H

#include <stdint.h>

/* One axis of a window, and its spectrum: what features and the shaft's speed are made of. */

/* Floor of log2 of a power: under what 16-bit samples can carry, and a defined value for silence. */
#define WHIR_AXIS_POWER_FLOOR_Q16 (-(16 << 16)) /* 2^-16 counts^2 */
/* The same of a level: under what 16-bit samples can carry. */
#define WHIR_AXIS_LEVEL_FLOOR_Q16 (-(8 << 16)) /* 2^-8 counts */

/* A deviation is n * x - sum: exact, and n times the distance from the mean. */
typedef struct whir_axis {
    const int16_t *samples;
    uint32_t n, stride;
    int32_t sum;
    uint32_t peak;   /* largest |deviation|, < 2^26 */
    uint64_t square; /* n * sum(x^2) - sum(x)^2 = n^2 times the variance, < 2^51 */
} whir_axis_t;

static inline int32_t whir_axis_deviation(const whir_axis_t *axis, uint32_t i)
{
    return (int32_t)axis->n * axis->samples[i * axis->stride] - axis->sum;
}

/* n samples, each `stride` behind the one before; n a power of two, 64 .. 1024. */
void whir_axis_measure(whir_axis_t *axis, const int16_t *samples, uint32_t n, uint32_t stride);

/* Hann window and FFT into z (n words) of an axis whose peak is not 0. The result, for whir_fft_power, is scaled by 2^scale
 * against the deviations' own spectrum; returns scale. */
int32_t whir_axis_spectrum(const whir_axis_t *axis, int32_t *z);

/* log2, Q16, of a mean square in counts^2, from whir_fft_power of such a spectrum and the unit of its scale. */
int32_t whir_axis_power_unit(uint32_t n, int32_t scale);
int32_t whir_axis_power_log2(uint64_t sum, int32_t unit);

/* log2, Q16, of a level in counts, from n^2 times its square; for silence the floor. */
int32_t whir_axis_level_log2(uint64_t square, uint32_t n);
uint64_t whir_axis_total_square(const whir_axis_t *axes, uint32_t channels);

static inline int32_t whir_axis_q8(int32_t q16)
{
    return (q16 + 128) >> 8;
}

#endif
