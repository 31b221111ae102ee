#include "across.h"

#include "fft.h"
#include "fixed.h"
#include "orders.h"
#include "whir/bytes.h"

#define DEVIATION_BITS 12 /* of one axis: the fourth power of three, summed over 1024 samples, fits 64 bits */

/* What is summed over the axes: bands, order bands, then own and around of each line. */
static uint32_t sums_of(const whir_params_t *params)
{
    return (uint32_t)params->bands_per_axis + params->orders_per_axis + WHIR_LINE_SPANS * params->lines_per_axis;
}

static uint64_t sum_at(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, uint32_t i)
{
    if (i < params->bands_per_axis) {
        const uint8_t *edge = params->band_edges_bins + 2 * i;
        return whir_fft_power(z, params->window_samples, whir_le16(edge), whir_le16(edge + 2));
    }
    i -= params->bands_per_axis;
    if (i < params->orders_per_axis) {
        return whir_orders_power(params, bins_q24, z, i);
    }
    i -= params->orders_per_axis;
    return whir_lines_power(params, bins_q24, z, i / WHIR_LINE_SPANS, (whir_line_span_t)(i % WHIR_LINE_SPANS));
}

/* Powers of all axes at one scale; returns the unit. */
static int32_t sum_axes(const whir_params_t *params, const whir_axis_t *axes, uint64_t bins_q24, int32_t *z, uint64_t *sums)
{
    int32_t unit = 0;

    for (uint32_t i = 0; i < sums_of(params); i++) {
        sums[i] = 0;
    }
    for (uint32_t c = 0; c < params->channels; c++) {
        unit = whir_axis_power_unit(params->window_samples, whir_axis_spectrum(&axes[c], z));
        for (uint32_t i = 0; i < sums_of(params); i++) {
            sums[i] += sum_at(params, bins_q24, z, i);
        }
    }
    return unit;
}

/* Largest sum of squares that one sample has, and log2 of the fourth moment over the squared second. */
static uint64_t moments(const whir_axis_t *axes, uint32_t channels, int32_t *kurtosis_q16)
{
    uint32_t bits = 64 - whir_clz64(axes[0].peak);
    uint32_t down = bits > DEVIATION_BITS ? bits - DEVIATION_BITS : 0;
    uint32_t up = bits < DEVIATION_BITS ? DEVIATION_BITS - bits : 0;
    uint32_t rounding = down == 0 ? 0 : 1u << (down - 1);
    uint64_t largest = 0, second = 0, fourth = 0;

    for (uint32_t i = 0; i < axes[0].n; i++) {
        uint64_t square = 0;
        uint32_t small = 0;
        for (uint32_t c = 0; c < channels; c++) {
            int32_t d = whir_axis_deviation(&axes[c], i);
            uint32_t size = (uint32_t)(d < 0 ? -d : d);
            square += (uint64_t)size * size;
            size = ((size << up) + rounding) >> down;
            small += size * size;
        }
        largest = square > largest ? square : largest;
        second += small;
        fourth += (uint64_t)small * small;
    }
    *kurtosis_q16 = whir_log2_q16(fourth) + whir_log2_q16(axes[0].n) - 2 * whir_log2_q16(second);
    return largest;
}

static void stats(const whir_params_t *params, const whir_axis_t *axes, int32_t *out)
{
    int32_t kurtosis;
    uint64_t square = whir_axis_total_square(axes, params->channels);
    int32_t rms = whir_axis_level_log2(square, params->window_samples);
    int32_t peak = whir_axis_level_log2(moments(axes, params->channels, &kurtosis), params->window_samples);
    int32_t level = params->level == WHIR_LEVEL_RELATIVE ? rms : 0;
    const int32_t values[] = {rms - level, peak - level, peak > rms ? peak - rms : 0, kurtosis > 0 ? kurtosis : 0};

    for (uint32_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if ((params->stats >> i & 1) != 0) {
            *out++ = whir_axis_q8(values[i]);
        }
    }
}

void whir_across_extract(const whir_params_t *params, whir_axis_t *axes, uint64_t bins_q24, int32_t *scratch, int32_t *out)
{
    uint64_t sums[2 * WHIR_FEATURE_BANDS_PER_AXIS_MAX], total = 0;
    uint32_t bands = (uint32_t)params->bands_per_axis + params->orders_per_axis;
    int32_t unit, power = 0;

    for (uint32_t c = 1; c < params->channels; c++) {
        axes[0].peak = axes[c].peak > axes[0].peak ? axes[c].peak : axes[0].peak;
    }
    for (uint32_t c = 1; c < params->channels; c++) {
        axes[c].peak = axes[0].peak; /* the scale that all have in common */
    }
    unit = sum_axes(params, axes, bins_q24, scratch, sums);
    for (uint32_t i = 0; i < params->bands_per_axis; i++) {
        total += sums[i];
    }
    if (params->level == WHIR_LEVEL_RELATIVE) {
        power = whir_axis_power_log2(total, unit);
    }
    for (uint32_t i = 0; i < bands; i++) {
        *out++ = whir_axis_q8(whir_axis_power_log2(sums[i], unit) - power);
    }
    for (uint32_t line = 0; line < params->lines_per_axis; line++) {
        const uint64_t *pair = sums + bands + WHIR_LINE_SPANS * line;
        *out++ = whir_axis_q8(whir_lines_log2(params, bins_q24, line, pair[WHIR_LINE_OWN], pair[WHIR_LINE_AROUND]));
    }
    stats(params, axes, out);
}
