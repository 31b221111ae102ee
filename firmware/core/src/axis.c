#include "axis.h"

#include "fft.h"
#include "fixed.h"

#define LOG2_3_Q16 103872

void whir_axis_measure(whir_axis_t *axis, const int16_t *samples, uint32_t n, uint32_t stride)
{
    const int16_t *sample = samples;
    int32_t least = INT16_MAX, most = INT16_MIN, sum = 0;
    uint64_t squares = 0;

    for (uint32_t i = 0; i < n; i++, sample += stride) {
        int32_t x = *sample;
        sum += x;
        squares += (uint32_t)(x * x);
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
    axis->samples = samples;
    axis->n = n;
    axis->stride = stride;
    axis->sum = sum;
    most = (int32_t)n * most - sum;
    least = sum - (int32_t)n * least;
    axis->peak = (uint32_t)(most > least ? most : least);
    axis->square = n * squares - (uint64_t)((int64_t)sum * sum);
}

/* Left shift that brings the axis's deviations to 30 bits. */
static uint32_t headroom(const whir_axis_t *axis)
{
    return whir_clz64(axis->peak) - 34;
}

/* Block scaling: the largest sample uses all the bits that the FFT has room for, so that precision does not depend on the
 * level. */
int32_t whir_axis_spectrum(const whir_axis_t *axis, int32_t *z)
{
    whir_fft_input_t input = {axis->samples, axis->n, axis->stride, axis->sum, headroom(axis),
                              /* the window sums to n / 2: sum(|x|) stays under 2^28 */
                              (uint32_t)(whir_log2_q16(axis->n) >> 16) - 1};

    whir_fft_run(&input, z);
    return (int32_t)input.up - 2 - (int32_t)input.down;
}

/* Hann loses 3/8 of the power, hence P = 2 |X|^2 / (n * 3n/8) with X in counts, and X here is n * 2^scale times that, 2X what
 * the sum is made of. */
int32_t whir_axis_power_unit(uint32_t n, int32_t scale)
{
    /* silence has any scale: it wraps round, and its sum is 0 */
    return (int32_t)((uint32_t)((2 << 16) - LOG2_3_Q16 - 4 * whir_log2_q16(n)) - (uint32_t)scale * (2u << 16));
}

int32_t whir_axis_power_log2(uint64_t sum, int32_t unit)
{
    int32_t value = sum == 0 ? WHIR_AXIS_POWER_FLOOR_Q16 : whir_log2_q16(sum) + unit;

    return value > WHIR_AXIS_POWER_FLOOR_Q16 ? value : WHIR_AXIS_POWER_FLOOR_Q16;
}

int32_t whir_axis_level_log2(uint64_t square, uint32_t n)
{
    int32_t value = square == 0 ? WHIR_AXIS_LEVEL_FLOOR_Q16 : whir_log2_q16(square) / 2 - whir_log2_q16(n);

    return value > WHIR_AXIS_LEVEL_FLOOR_Q16 ? value : WHIR_AXIS_LEVEL_FLOOR_Q16;
}

uint64_t whir_axis_total_square(const whir_axis_t *axes, uint32_t channels)
{
    uint64_t total = 0;

    for (uint32_t c = 0; c < channels; c++) {
        total += axes[c].square;
    }
    return total;
}
