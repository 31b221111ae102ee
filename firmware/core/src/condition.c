#include "whir/condition.h"

#include <stddef.h>

#include "tables.h"

/* The filters always run all channels, unused ones on zeros: three sums in registers
 * cost less than one in a loop. */
#define CHANNELS WHIR_WINDOW_CHANNELS_MAX
#define HALFBAND_TAPS 23
#define KERNEL_Q16 ((int32_t)WHIR_SINC_LOBES * WHIR_SINC_STEPS << 16) /* half its length, in entries */
#define COEFFICIENT_BITS 13
#define RATE_SLACK 100 /* a sensor may be slow by one part in so many: two of one type differ by that much */

static int16_t saturated(int64_t value)
{
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

/* Saturates between two filters, where nobody sees the rail afterwards. */
static int16_t stage_output(whir_condition_t *c, int32_t value)
{
    int16_t kept = saturated(value);

    if (kept != value) {
        c->tainted = c->taint_outputs;
    }
    return kept;
}

/* Ratio of the sensor's unit to the bundle's as num / den; 0 when there is none. */
static int unit_ratio(uint8_t sensor, uint8_t bundle, uint32_t *num, uint32_t *den)
{
    *num = 1;
    *den = 1;
    if (sensor == bundle) {
        return 1;
    }
    if (sensor == WHIR_UNIT_G && bundle == WHIR_UNIT_MPS2) {
        *num = 980665; /* standard gravity, exact by definition */
        *den = 100000;
        return 1;
    }
    if (sensor == WHIR_UNIT_MPS2 && bundle == WHIR_UNIT_G) {
        *num = 100000;
        *den = 980665;
        return 1;
    }
    return 0;
}

/* num / den as gain / 2^gain_shift with 31 significant bits; 0 when it is not within 2^-15 .. 2^15. */
static int gain_set(whir_condition_t *c, uint64_t num, uint64_t den)
{
    uint64_t quotient = num / den;
    uint64_t rest = num % den;
    uint32_t shift = 0;

    if (num > den << 15 || num << 15 < den) {
        return 0;
    }
    while (quotient < (uint64_t)1 << 30) {
        rest <<= 1;
        quotient = (quotient << 1) | (rest >= den);
        rest -= rest >= den ? den : 0;
        shift++;
    }
    c->gain = (uint32_t)quotient + (2 * rest >= den);
    c->gain_shift = (uint8_t)shift;
    return 1;
}

static int sensor_check(whir_condition_t *c, const whir_params_t *params, const whir_sensor_info_t *sensor)
{
    uint32_t output_mhz = params->rate_hz * 1000;
    uint32_t num, den;
    uint64_t rail;

    if (sensor->rate_mhz < WHIR_CONDITION_INPUT_RATE_MIN_MHZ || sensor->rate_mhz > WHIR_CONDITION_INPUT_RATE_MAX_MHZ ||
        sensor->rate_mhz < output_mhz - output_mhz / RATE_SLACK || sensor->bandwidth_hz < params->bandwidth_hz) {
        return 0;
    }
    if (sensor->channels == 0 || sensor->channels > WHIR_WINDOW_CHANNELS_MAX || params->axes >> sensor->channels != 0) {
        return 0;
    }
    if (!unit_ratio(sensor->unit, params->unit, &num, &den) ||
        (uint64_t)sensor->range_milli * num < (uint64_t)params->range_mg * den ||
        (uint64_t)sensor->noise_ug_rthz * num > (uint64_t)params->noise_ug_rthz_max * den) {
        return 0;
    }
    /* a converter of n bits ends one count short of its full scale */
    rail = sensor->lsb_nano == 0 ? 0 : (uint64_t)sensor->range_milli * 1000000 / sensor->lsb_nano;
    if (rail < 2) {
        return 0;
    }
    c->rail = rail > INT16_MAX ? INT16_MAX : (int32_t)rail - 1;
    return gain_set(c, (uint64_t)sensor->lsb_nano * num, (uint64_t)params->lsb_nano * den);
}

int whir_condition_init(whir_condition_t *c, const whir_params_t *params, const whir_sensor_info_t *sensor,
                        whir_envelope_t *envelope)
{
    uint32_t output_mhz = params->rate_hz * 1000;

    if (!sensor_check(c, params, sensor)) {
        return WHIR_ERR_BUNDLE_SENSOR;
    }
    c->envelope = params->envelope_axes == 0 ? NULL : envelope;
    if (params->envelope_axes != 0) {
        int err = envelope == NULL ? WHIR_ERR_BUNDLE_FEATURES : whir_envelope_init(envelope, params, sensor->rate_mhz);
        if (err < 0) {
            return err;
        }
    }
    c->channels = 0;
    for (uint8_t axis = 0; axis < WHIR_WINDOW_CHANNELS_MAX; axis++) {
        if ((params->axes >> axis & 1) != 0) {
            c->axis[c->channels++] = axis;
        }
    }
    c->stages = 0;
    while ((uint64_t)output_mhz << (c->stages + 2) <= sensor->rate_mhz) {
        c->stages++;
    }
    if (c->stages > WHIR_CONDITION_STAGES_MAX) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    c->direct = sensor->rate_mhz <= output_mhz;
    c->input_ticks = output_mhz << c->stages;
    c->output_ticks = sensor->rate_mhz;
    c->entries_q48 = ((uint64_t)WHIR_SINC_STEPS << 48) / c->output_ticks;
    /* an input reaches the outputs within its kernel, and half-band filters of 23 taps at 4, 8, 16 … times the rate */
    c->taint_outputs = (uint8_t)(c->direct ? 1 : 2 * WHIR_SINC_LOBES + 1 + (c->stages != 0 ? HALFBAND_TAPS / 2 + 1 : 0));
    whir_condition_reset(c);
    return 0;
}

void whir_condition_reset(whir_condition_t *c)
{
    for (uint32_t i = 0; i < WHIR_CONDITION_STAGES_MAX; i++) {
        c->stage[i].seen = 0;
        c->stage[i].tapped_head = 0;
        c->stage[i].delayed_head = 0;
    }
    if (c->envelope != NULL) {
        whir_envelope_reset(c->envelope);
    }
    c->taps_head = 0;
    c->tainted = 0;
    /* the first output is the one whose kernel begins at the first input */
    c->due = 2 * WHIR_SINC_LOBES * c->output_ticks + c->input_ticks;
}

static uint8_t ring_next(uint8_t i, uint32_t length)
{
    return (uint8_t)(i + 1u == length ? 0 : i + 1);
}

/*
 * Half-band FIR and decimation by 2, `x` in and out. Only every other input meets the taps that are not zero; those between
 * wait for the centre. Returns 1 with an output, at every other input once the filter is full.
 */
static int stage_push(whir_condition_t *c, whir_condition_stage_t *s, int16_t *x)
{
    int tapped = s->seen & 1;
    int16_t *entry = tapped ? s->tapped[s->tapped_head] : s->delayed[s->delayed_head];
    const int16_t *centre;
    int32_t x_sum, y_sum, z_sum;
    uint32_t old, young;

    for (uint32_t ch = 0; ch < CHANNELS; ch++) {
        entry[ch] = x[ch];
    }
    s->seen = (uint8_t)(s->seen > HALFBAND_TAPS ? HALFBAND_TAPS : s->seen + 1);
    if (!tapped) {
        s->delayed_head = ring_next(s->delayed_head, WHIR_CONDITION_HALFBAND_DELAYED);
        return 0;
    }
    young = s->tapped_head;
    s->tapped_head = ring_next(s->tapped_head, WHIR_CONDITION_HALFBAND_TAPPED);
    old = s->tapped_head;
    if (s->seen < HALFBAND_TAPS) {
        return 0;
    }
    centre = s->delayed[s->delayed_head];
    x_sum = (centre[0] + 1) * (1 << 14); /* its tap is one half; rounding */
    y_sum = (centre[1] + 1) * (1 << 14);
    z_sum = (centre[2] + 1) * (1 << 14);
    for (uint32_t pair = WHIR_HALFBAND_PAIRS; pair-- != 0;) {
        int32_t tap = WHIR_HALFBAND_Q15[pair];
        const int16_t *a = s->tapped[old];
        const int16_t *b = s->tapped[young];
        x_sum += tap * (a[0] + b[0]);
        y_sum += tap * (a[1] + b[1]);
        z_sum += tap * (a[2] + b[2]);
        old = old + 1 == WHIR_CONDITION_HALFBAND_TAPPED ? 0 : old + 1;
        young = young == 0 ? WHIR_CONDITION_HALFBAND_TAPPED - 1 : young - 1;
    }
    x[0] = stage_output(c, x_sum >> 15);
    x[1] = stage_output(c, y_sum >> 15);
    x[2] = stage_output(c, z_sum >> 15);
    return 1;
}

/* The windowed sinc at `position` entries (Q16) from its centre, between two entries of the table. */
static int32_t kernel(int32_t position)
{
    uint32_t distance = (uint32_t)(position < 0 ? -position : position);
    uint32_t index = distance >> 16;
    int32_t low = WHIR_SINC_Q14[index];
    int32_t step = WHIR_SINC_Q14[index + 1] - low;

    /* Q14 + Q16 to Q13 */
    return (low * (1 << 16) + step * (int32_t)(distance & 0xFFFF) + (1 << 16)) >> (14 + 16 - COEFFICIENT_BITS);
}

/*
 * Fractional decimator: the output at time t is the inputs within 10 output periods of t, weighed by the kernel and divided by
 * the weights' sum. So the gain at 0 Hz is exactly 1 at every phase, and gravity does not turn into a tone.
 */
static int resample_push(whir_condition_t *c, const int16_t *x, int16_t *out)
{
    int16_t *entry = c->taps[c->taps_head];
    int32_t x_sum = 0, y_sum = 0, z_sum = 0, weights = 0;
    int32_t sums[CHANNELS];
    int32_t position, step;
    uint32_t at = c->taps_head;
    int64_t gain;

    for (uint32_t ch = 0; ch < CHANNELS; ch++) {
        entry[ch] = x[ch];
    }
    c->taps_head = ring_next(c->taps_head, WHIR_CONDITION_TAPS_MAX);
    c->due -= c->input_ticks;
    if (c->due > c->input_ticks) {
        return 0;
    }
    position = KERNEL_Q16 - (int32_t)((c->due * c->entries_q48) >> 32);
    step = (int32_t)((c->input_ticks * c->entries_q48) >> 32);
    c->due += c->output_ticks;
    for (uint32_t i = 0; i < WHIR_CONDITION_TAPS_MAX && position > -KERNEL_Q16; i++) {
        int32_t weight = kernel(position);
        const int16_t *a = c->taps[at];
        x_sum += weight * a[0];
        y_sum += weight * a[1];
        z_sum += weight * a[2];
        weights += weight;
        position -= step;
        at = at == 0 ? WHIR_CONDITION_TAPS_MAX - 1 : at - 1;
    }
    sums[0] = x_sum;
    sums[1] = y_sum;
    sums[2] = z_sum;
    gain = (int64_t)(((uint64_t)c->gain << COEFFICIENT_BITS) / (uint32_t)weights);
    for (uint32_t ch = 0; ch < c->channels; ch++) {
        uint32_t shift = c->gain_shift + COEFFICIENT_BITS;
        out[ch] = saturated((sums[ch] * gain + ((int64_t)1 << (shift - 1))) >> shift);
    }
    return 1;
}

static void direct_push(const whir_condition_t *c, const int16_t *x, int16_t *out)
{
    for (uint32_t ch = 0; ch < c->channels; ch++) {
        int64_t value = (int64_t)x[ch] * c->gain + ((int64_t)1 << (c->gain_shift - 1));
        out[ch] = saturated(value >> c->gain_shift);
    }
}

int whir_condition_push(whir_condition_t *c, const int16_t *in, int16_t *out)
{
    int16_t x[CHANNELS] = {0};

    for (uint32_t ch = 0; ch < c->channels; ch++) {
        x[ch] = in[c->axis[ch]];
        if (x[ch] >= c->rail || x[ch] <= -c->rail) {
            c->tainted = c->taint_outputs;
        }
        if (c->envelope != NULL && (c->envelope->channels >> ch & 1) != 0) {
            x[ch] = stage_output(c, whir_envelope_push(c->envelope, ch, x[ch]));
        }
    }
    if (c->direct) {
        direct_push(c, x, out);
    } else {
        for (uint32_t i = 0; i < c->stages; i++) {
            if (!stage_push(c, &c->stage[i], x)) {
                return 0;
            }
        }
        if (!resample_push(c, x, out)) {
            return 0;
        }
    }
    if (c->tainted != 0) {
        c->tainted--;
        return WHIR_CONDITION_CLIPPED;
    }
    return WHIR_CONDITION_SAMPLE;
}
