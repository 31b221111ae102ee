#include "whir/params.h"

#include <stddef.h>
#include <string.h>

#include "whir/bytes.h"

enum { LIMITED_U8, LIMITED_U16, LIMITED_U32, ARRAY_U16, ARRAY_32 };

typedef struct {
    uint16_t tag;
    uint8_t type;
    uint8_t offset; /* of the field in whir_params_t */
    uint8_t optional;
    uint32_t min, max;
} rule_t;

#define RULE_OF(NAME, field, type, optional)                                                                                   \
    {WHIR_PARAM_##NAME, type, offsetof(whir_params_t, field), optional, WHIR_PARAM_##NAME##_MIN, WHIR_PARAM_##NAME##_MAX}
#define RULE(NAME, field, type) RULE_OF(NAME, field, type, 0)
#define OPTIONAL(NAME, field, type) RULE_OF(NAME, field, type, 1)

/* Every parameter, ascending: the manifest holds each of them once, in this order; an optional one that says nothing is left
 * out, so that there is one way to write the same parameters. */
static const rule_t RULES[] = {
    RULE(EXTRACTOR_VERSION, extractor_version, LIMITED_U16),
    RULE(RATE_HZ, rate_hz, LIMITED_U32),
    RULE(BANDWIDTH_HZ, bandwidth_hz, LIMITED_U32),
    RULE(RANGE_MG, range_mg, LIMITED_U32),
    RULE(NOISE_UG_RTHZ_MAX, noise_ug_rthz_max, LIMITED_U32),
    RULE(CHANNELS, channels, LIMITED_U8),
    RULE(AXES, axes, LIMITED_U8),
    RULE(UNIT, unit, LIMITED_U8),
    RULE(LSB_NANO, lsb_nano, LIMITED_U32),
    OPTIONAL(ENVELOPE_AXES, envelope_axes, LIMITED_U8),
    OPTIONAL(ENVELOPE_LOW_HZ, envelope_low_hz, LIMITED_U32),
    OPTIONAL(ENVELOPE_HIGH_HZ, envelope_high_hz, LIMITED_U32),
    OPTIONAL(ACROSS_AXES, across_axes, LIMITED_U8),
    RULE(WINDOW_SAMPLES, window_samples, LIMITED_U16),
    RULE(HOP_SAMPLES, hop_samples, LIMITED_U16),
    RULE(VERDICT_WINDOWS, verdict_windows, LIMITED_U8),
    RULE(KIND, kind, LIMITED_U8),
    RULE(LEVEL, level, LIMITED_U8),
    RULE(STATS, stats, LIMITED_U8),
    {WHIR_PARAM_BAND_EDGES_BINS, ARRAY_U16, offsetof(whir_params_t, band_edges_bins), 0, 0, 0},
    {WHIR_PARAM_ORDER_EDGES_Q8, ARRAY_U16, offsetof(whir_params_t, order_edges_q8), 1, 0, 0},
    {WHIR_PARAM_ORDER_LINES_Q8, ARRAY_U16, offsetof(whir_params_t, order_lines_q8), 1, 0, 0},
    {WHIR_PARAM_OFFSET, ARRAY_32, offsetof(whir_params_t, offset), 0, 0, 0},
    {WHIR_PARAM_GAIN_Q16, ARRAY_32, offsetof(whir_params_t, gain_q16), 0, 0, 0},
};
#define RULE_COUNT ((uint32_t)(sizeof RULES / sizeof RULES[0]))
/* The arrays are the last rules; entries of each. */
enum { EDGES, ORDER_EDGES, LINES, OFFSETS, GAINS, ARRAYS };

static uint32_t set_bits(uint32_t v)
{
    uint32_t n = 0;

    for (; v != 0; v &= v - 1) {
        n++;
    }
    return n;
}

/* Stores one number; the limits say what this build supports. */
static int number_store(whir_params_t *params, const rule_t *rule, const uint8_t *value, uint32_t length)
{
    uint8_t *field = (uint8_t *)params + rule->offset;
    uint32_t size = rule->type == LIMITED_U8 ? 1 : rule->type == LIMITED_U16 ? 2 : 4;
    uint32_t v;

    if (length != size) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    v = size == 1 ? value[0] : size == 2 ? whir_le16(value) : whir_le32(value);
    if (v < rule->min || v > rule->max) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    if (size == 1) {
        *field = (uint8_t)v;
    } else if (size == 2) {
        uint16_t v16 = (uint16_t)v;
        memcpy(field, &v16, sizeof v16);
    } else {
        memcpy(field, &v, sizeof v);
    }
    return 0;
}

/* Entries that a complete scaler has. */
static uint32_t scalers_needed(const whir_params_t *params)
{
    return params->kind == WHIR_FEATURE_KIND_RAW ? params->channels : whir_params_feature_count(params);
}

/* 1 when u16 edges ascend strictly from `min` or more to `max` or less. */
static int ascends(const uint8_t *edges, uint32_t count, uint32_t min, uint32_t max)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t edge = whir_le16(edges + 2 * i);
        if (edge < min || edge > max) {
            return 0;
        }
        min = edge + 1;
    }
    return 1;
}

static int envelope_fits(const whir_params_t *params)
{
    if (params->envelope_axes == 0) {
        return params->envelope_low_hz == 0 && params->envelope_high_hz == 0;
    }
    return (params->envelope_axes & ~params->axes) == 0 && params->envelope_low_hz >= params->rate_hz &&
           params->envelope_low_hz < params->envelope_high_hz && params->envelope_high_hz <= params->bandwidth_hz;
}

/* What one limit cannot say. */
static int fit_check(const whir_params_t *params, const uint16_t *counts)
{
    uint32_t edges = counts[EDGES], order_edges = counts[ORDER_EDGES], lines = counts[LINES];

    if (set_bits(params->axes) != params->channels || set_bits(params->window_samples) != 1 || !envelope_fits(params)) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    if (params->kind == WHIR_FEATURE_KIND_RAW) {
        if (edges != 0 || order_edges != 0 || lines != 0 || params->stats != 0 || params->across_axes != 0) {
            return WHIR_ERR_BUNDLE_FEATURES;
        }
    } else if (edges < 2 || order_edges == 1 ||
               (uint32_t)params->bands_per_axis + params->orders_per_axis + lines > WHIR_FEATURE_BANDS_PER_AXIS_MAX ||
               !ascends(params->band_edges_bins, edges, 0, params->window_samples / 2u) ||
               !ascends(params->order_edges_q8, order_edges, 1, UINT16_MAX) ||
               !ascends(params->order_lines_q8, lines, 1, UINT16_MAX)) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    if (counts[OFFSETS] != counts[GAINS] || (counts[OFFSETS] != 0 && counts[OFFSETS] != scalers_needed(params))) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    return 0;
}

int whir_params_parse(whir_params_t *params, const uint8_t *tlv, uint32_t bytes)
{
    uint16_t counts[ARRAYS] = {0};
    uint32_t next = 0;

    memset(params, 0, sizeof *params);
    while (bytes != 0) {
        const rule_t *rule;
        uint32_t tag, length;
        int err;

        if (bytes < 4) {
            return WHIR_ERR_BUNDLE_MANIFEST;
        }
        tag = whir_le16(tlv);
        length = whir_le16(tlv + 2);
        if (length > bytes - 4) {
            return WHIR_ERR_BUNDLE_MANIFEST;
        }
        while (next < RULE_COUNT && RULES[next].optional && RULES[next].tag < tag) {
            next++;
        }
        if (next == RULE_COUNT || tag < RULES[next].tag) {
            /* either a step back, or a parameter that this build does not know */
            return next != 0 && tag <= RULES[next - 1].tag ? WHIR_ERR_BUNDLE_MANIFEST : WHIR_ERR_BUNDLE_FEATURES;
        }
        if (tag != RULES[next].tag) {
            return WHIR_ERR_BUNDLE_FEATURES; /* RULES[next] is missing */
        }
        rule = &RULES[next++];
        tlv += 4;
        if (rule->type == ARRAY_U16 || rule->type == ARRAY_32) {
            uint32_t size = rule->type == ARRAY_U16 ? 2 : 4;
            const uint8_t *start = tlv;
            if (length % size != 0 || (rule->optional && length == 0)) {
                return WHIR_ERR_BUNDLE_MANIFEST;
            }
            counts[rule - &RULES[RULE_COUNT - ARRAYS]] = (uint16_t)(length / size);
            memcpy((uint8_t *)params + rule->offset, &start, sizeof start);
        } else {
            err = number_store(params, rule, tlv, length);
            if (err < 0) {
                return err;
            }
        }
        tlv += length;
        bytes -= 4 + length;
    }
    if (next != RULE_COUNT) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    params->bands_per_axis = (uint16_t)(counts[EDGES] == 0 ? 0 : counts[EDGES] - 1);
    params->orders_per_axis = (uint16_t)(counts[ORDER_EDGES] == 0 ? 0 : counts[ORDER_EDGES] - 1);
    params->lines_per_axis = counts[LINES];
    params->scalers = counts[OFFSETS];
    return fit_check(params, counts);
}

uint32_t whir_params_feature_count(const whir_params_t *params)
{
    if (params->kind == WHIR_FEATURE_KIND_RAW) {
        return (uint32_t)params->window_samples * params->channels;
    }
    return (params->across_axes != 0 ? 1u : params->channels) *
           (params->bands_per_axis + params->orders_per_axis + params->lines_per_axis + set_bits(params->stats));
}

int whir_params_by_order(const whir_params_t *params)
{
    return params->orders_per_axis != 0 || params->lines_per_axis != 0;
}

int whir_params_complete(const whir_params_t *params)
{
    return params->scalers == scalers_needed(params);
}

static uint32_t crc_of(uint32_t crc, const uint32_t *numbers, uint32_t count)
{
    uint8_t bytes[4];

    for (uint32_t i = 0; i < count; i++) {
        whir_put_le32(bytes, numbers[i]);
        crc = whir_crc32(crc, bytes, sizeof bytes);
    }
    return crc;
}

uint32_t whir_params_extraction(const whir_params_t *params)
{
    const uint32_t numbers[] = {params->extractor_version, params->rate_hz, params->axes,  params->unit, params->lsb_nano,
                                params->window_samples,    params->kind,    params->level, params->stats};
    const uint32_t optional[] = {params->envelope_axes, params->envelope_low_hz, params->envelope_high_hz, params->across_axes};
    uint32_t crc = crc_of(0, numbers, sizeof numbers / sizeof numbers[0]);

    if (params->envelope_axes != 0 || params->across_axes != 0) { /* without them the value of before there were any */
        crc = crc_of(crc, optional, sizeof optional / sizeof optional[0]);
    }
    crc = whir_crc32(crc, params->band_edges_bins, params->bands_per_axis == 0 ? 0 : 2u * (params->bands_per_axis + 1u));
    crc = whir_crc32(crc, params->order_edges_q8, params->orders_per_axis == 0 ? 0 : 2u * (params->orders_per_axis + 1u));
    return whir_crc32(crc, params->order_lines_q8, 2u * params->lines_per_axis);
}
