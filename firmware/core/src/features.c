#include "whir/features.h"

#include "across.h"
#include "axis.h"
#include "fft.h"
#include "fixed.h"
#include "orders.h"
#include "whir/bytes.h"

#define STAT_RMS 1u
#define STAT_PEAK 2u
#define STAT_CREST 4u
#define STAT_KURTOSIS 8u

#define RELATIVE_Q 10    /* raw, level relative: 1024 = one RMS */
#define KURTOSIS_BITS 13 /* of a deviation: its fourth power summed over 1024 samples fits 64 bits */

static int32_t at_least(int32_t value, int32_t floor)
{
    return value > floor ? value : floor;
}

static int32_t peak_log2(const whir_axis_t *axis)
{
    return axis->peak == 0 ? WHIR_AXIS_LEVEL_FLOOR_Q16
                           : at_least(whir_log2_q16(axis->peak) - whir_log2_q16(axis->n), WHIR_AXIS_LEVEL_FLOOR_Q16);
}

/* log2 of the fourth moment over the squared variance; 0 for silence. */
static int32_t kurtosis_log2(const whir_axis_t *axis)
{
    uint32_t bits = 64 - whir_clz64(axis->peak);
    uint32_t down = bits > KURTOSIS_BITS ? bits - KURTOSIS_BITS : 0;
    uint32_t up = bits < KURTOSIS_BITS ? KURTOSIS_BITS - bits : 0;
    uint32_t rounding = down == 0 ? 0 : 1u << (down - 1);
    uint64_t second = 0, fourth = 0;

    if (axis->peak == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < axis->n; i++) {
        int32_t d = whir_axis_deviation(axis, i);
        uint32_t size = (uint32_t)(d < 0 ? -d : d);
        size = ((size << up) + rounding) >> down;
        size *= size;
        second += size;
        fourth += (uint64_t)size * size;
    }
    return at_least(whir_log2_q16(fourth) + whir_log2_q16(axis->n) - 2 * whir_log2_q16(second), 0);
}

/* Bands of one axis in Q16; returns the sum over all of them. */
static uint64_t axis_bands(const whir_params_t *params, const int32_t *z, int32_t unit, int32_t *out)
{
    uint32_t from = whir_le16(params->band_edges_bins);
    uint64_t total = 0;

    for (uint32_t band = 0; band < params->bands_per_axis; band++) {
        uint32_t to = whir_le16(params->band_edges_bins + 2 * (band + 1));
        uint64_t sum = whir_fft_power(z, params->window_samples, from, to);
        out[band] = whir_axis_power_log2(sum, unit);
        total += sum;
        from = to;
    }
    return total;
}

/* Order bands of one axis in Q16. */
static void axis_orders(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, int32_t unit, int32_t *out)
{
    for (uint32_t band = 0; band < params->orders_per_axis; band++) {
        out[band] = whir_axis_power_log2(whir_orders_power(params, bins_q24, z, band), unit);
    }
}

/* Lines of one axis in Q8: they have no level. */
static void axis_lines(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, int32_t *out)
{
    for (uint32_t line = 0; line < params->lines_per_axis; line++) {
        uint64_t own = whir_lines_power(params, bins_q24, z, line, WHIR_LINE_OWN);
        uint64_t around = whir_lines_power(params, bins_q24, z, line, WHIR_LINE_AROUND);
        out[line] = whir_axis_q8(whir_lines_log2(params, bins_q24, line, own, around));
    }
}

/* Statistics of one axis in Q8, after `level_q16` is taken from the absolute ones; returns how many. */
static uint32_t axis_stats(const whir_params_t *params, const whir_axis_t *axis, int32_t level_q16, int32_t *out)
{
    int32_t rms = whir_axis_level_log2(axis->square, axis->n);
    int32_t peak = peak_log2(axis);
    uint32_t count = 0;

    if ((params->stats & STAT_RMS) != 0) {
        out[count++] = whir_axis_q8(rms - level_q16);
    }
    if ((params->stats & STAT_PEAK) != 0) {
        out[count++] = whir_axis_q8(peak - level_q16);
    }
    if ((params->stats & STAT_CREST) != 0) {
        out[count++] = whir_axis_q8(at_least(peak - rms, 0));
    }
    if ((params->stats & STAT_KURTOSIS) != 0) {
        out[count++] = whir_axis_q8(kurtosis_log2(axis));
    }
    return count;
}

static void extract_bands(const whir_params_t *params, const whir_axis_t *axes, uint64_t bins_q24, int32_t *scratch,
                          int32_t *out)
{
    uint32_t channels = params->across_axes != 0 ? 1 : params->channels; /* across: silence only, on one as on all */
    uint32_t n = params->window_samples;
    int relative = params->level == WHIR_LEVEL_RELATIVE;
    int32_t level = relative ? whir_axis_level_log2(whir_axis_total_square(axes, channels), n) : 0;
    int32_t power = 0;
    uint32_t per_axis = whir_params_feature_count(params) / channels;
    uint32_t bands_and_orders = (uint32_t)params->bands_per_axis + params->orders_per_axis;
    int32_t loudest = INT32_MAX; /* scale of the loudest axis: the smallest */
    uint64_t total = 0;

    for (uint32_t c = 0; c < channels; c++) {
        int32_t *bands = out + c * per_axis;
        uint64_t sum;
        int32_t scale, unit;
        if (axes[c].peak == 0) {
            for (uint32_t i = 0; i < bands_and_orders; i++) {
                bands[i] = WHIR_AXIS_POWER_FLOOR_Q16;
            }
            for (uint32_t i = 0; i < params->lines_per_axis; i++) {
                bands[bands_and_orders + i] = 0;
            }
        } else {
            scale = whir_axis_spectrum(&axes[c], scratch);
            unit = whir_axis_power_unit(n, scale);
            sum = axis_bands(params, scratch, unit, bands);
            axis_orders(params, bins_q24, scratch, unit, bands + params->bands_per_axis);
            axis_lines(params, bins_q24, scratch, bands + bands_and_orders);
            /* bring both to the louder one's scale before adding */
            if (scale < loudest) {
                total = loudest == INT32_MAX ? 0 : total >> (2 * (loudest - scale));
                loudest = scale;
            }
            total += sum >> (2 * (scale - loudest));
        }
        axis_stats(params, &axes[c], level, bands + bands_and_orders + params->lines_per_axis);
    }
    if (relative) {
        power = whir_axis_power_log2(total, whir_axis_power_unit(n, loudest));
    }
    for (uint32_t c = 0; c < channels; c++) {
        for (uint32_t i = 0; i < bands_and_orders; i++) {
            int32_t *band = out + c * per_axis + i;
            *band = whir_axis_q8(*band - power);
        }
    }
}

static void extract_raw_absolute(const whir_axis_t *axes, uint32_t channels, int32_t *out)
{
    for (uint32_t c = 0; c < channels; c++) {
        int32_t n = (int32_t)axes[c].n;
        uint32_t bits = (uint32_t)(whir_log2_q16(axes[c].n) >> 16);
        for (uint32_t i = 0; i < axes[c].n; i++) {
            out[i * channels + c] = (whir_axis_deviation(&axes[c], i) + n / 2) >> bits;
        }
    }
}

/* deviation / (n * RMS) in Q10, by one reciprocal: a 64-bit division per sample would cost a hundred times more. */
static void extract_raw_relative(const whir_axis_t *axes, uint32_t channels, int32_t *out)
{
    uint64_t square = whir_axis_total_square(axes, channels);
    uint32_t up, root, shift;
    int64_t reciprocal;

    if (square == 0) {
        for (uint32_t i = 0; i < axes[0].n * channels; i++) {
            out[i] = 0;
        }
        return;
    }
    up = (whir_clz64(square) & ~1u) - 2; /* square * 2^up in 2^60 .. 2^62 */
    root = whir_isqrt64(square << up);   /* 2^30 .. 2^31 */
    reciprocal = (int64_t)(((uint64_t)1 << 61) / root);
    shift = 61 - RELATIVE_Q - up / 2;
    for (uint32_t c = 0; c < channels; c++) {
        for (uint32_t i = 0; i < axes[c].n; i++) {
            int64_t scaled = whir_axis_deviation(&axes[c], i) * reciprocal;
            out[i * channels + c] = (int32_t)((scaled + ((int64_t)1 << (shift - 1))) >> shift);
        }
    }
}

int whir_features_defined(const whir_params_t *params, uint32_t shaft_mhz)
{
    return !whir_params_by_order(params) || whir_orders_scale(params, shaft_mhz) != 0;
}

void whir_features_extract(const whir_params_t *params, const int16_t *window, uint32_t shaft_mhz, int32_t *scratch,
                           int32_t *out)
{
    whir_axis_t axes[WHIR_WINDOW_CHANNELS_MAX];
    uint64_t bins_q24 = whir_params_by_order(params) ? whir_orders_scale(params, shaft_mhz) : 0;

    for (uint32_t c = 0; c < params->channels; c++) {
        whir_axis_measure(&axes[c], window + c, params->window_samples, params->channels);
    }
    if (params->across_axes != 0 && whir_axis_total_square(axes, params->channels) != 0) {
        whir_across_extract(params, axes, bins_q24, scratch, out);
    } else if (params->kind == WHIR_FEATURE_KIND_BANDS) {
        extract_bands(params, axes, bins_q24, scratch, out);
    } else if (params->level == WHIR_LEVEL_RELATIVE) {
        extract_raw_relative(axes, params->channels, out);
    } else {
        extract_raw_absolute(axes, params->channels, out);
    }
}

static int8_t quantized(int32_t feature, int32_t offset, uint32_t gain_q16)
{
    int32_t distance = (int32_t)((uint32_t)feature - (uint32_t)offset);
    int64_t value;

    if (((feature ^ offset) & (feature ^ distance)) < 0) { /* past 32 bits any gain but 0 saturates anyway */
        distance = feature < 0 ? INT32_MIN : INT32_MAX;
    }
    value = ((int64_t)distance * (int64_t)gain_q16 + (1 << 15)) >> 16;
    if (value != (int8_t)value) {
        value = distance < 0 ? INT8_MIN : INT8_MAX;
    }
    return (int8_t)value;
}

void whir_features_quantize(const whir_params_t *params, const int32_t *features, int8_t *input)
{
    uint32_t count = whir_params_feature_count(params);
    const uint8_t *offset = params->offset, *gain = params->gain_q16;
    const uint8_t *end = offset + 4 * params->scalers;

    for (uint32_t i = 0; i < count; i++) {
        input[i] = quantized(features[i], (int32_t)whir_le32(offset), whir_le32(gain));
        offset += 4;
        gain += 4;
        if (offset == end) {
            offset = params->offset;
            gain = params->gain_q16;
        }
    }
}

uint32_t whir_features_rms(const whir_params_t *params, const int16_t *window)
{
    whir_axis_t axes[WHIR_WINDOW_CHANNELS_MAX];

    for (uint32_t c = 0; c < params->channels; c++) {
        whir_axis_measure(&axes[c], window + c, params->window_samples, params->channels);
    }
    return whir_isqrt64(whir_axis_total_square(axes, params->channels)) / params->window_samples;
}
