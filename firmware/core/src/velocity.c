#include "whir/velocity.h"

#include <string.h>

#include "fixed.h"
#include "tables.h"

#define CHANNELS WHIR_WINDOW_CHANNELS_MAX
#define GAIN_BITS 30 /* of the sections' coefficients */
#define STATE_BITS 12
#define SQUARE_SHIFT 3 /* states are under 2^29: 2500 squares of 2^26 fit 64 bits */
#define TAPS_BITS 14
#define CENTRE (WHIR_VELOCITY_TAPS / 2)

static int32_t product(int32_t coefficient, int32_t value)
{
    return (int32_t)(((int64_t)coefficient * value + ((int64_t)1 << (GAIN_BITS - 1))) >> GAIN_BITS);
}

/* One count in 1e-9 m/s², so that the sensor's range fills int16; 0 when its unit is not acceleration. */
static uint32_t count_nano(const whir_sensor_info_t *sensor)
{
    uint64_t range_um = sensor->unit == WHIR_UNIT_G      ? (uint64_t)sensor->range_milli * 980665 / 100
                        : sensor->unit == WHIR_UNIT_MPS2 ? (uint64_t)sensor->range_milli * 1000
                                                         : 0;

    return (uint32_t)((range_um * 1000 + INT16_MAX - 1) / INT16_MAX);
}

int whir_velocity_init(whir_velocity_t *v, const whir_sensor_info_t *sensor)
{
    whir_params_t params;
    int err = WHIR_ERR_BUNDLE_SENSOR;

    memset(v, 0, sizeof *v);
    memset(&params, 0, sizeof params);
    if (sensor->channels > CHANNELS) {
        return err;
    }
    v->lsb_nano = count_nano(sensor);
    params.noise_ug_rthz_max = UINT32_MAX; /* the value says how much it is */
    params.channels = sensor->channels;
    params.axes = (uint8_t)((1u << sensor->channels) - 1);
    params.unit = WHIR_UNIT_MPS2;
    params.lsb_nano = v->lsb_nano;
    for (uint8_t row = 0; v->lsb_nano != 0 && err < 0 && row < WHIR_VELOCITY_RATES; row++) {
        params.rate_hz = WHIR_VELOCITY_RATE[row].rate_hz;
        err = whir_condition_init(&v->condition, &params, sensor, NULL);
        v->row = row;
    }
    if (err < 0) {
        return err;
    }
    v->channels = sensor->channels;
    v->band_hz = WHIR_VELOCITY_RATE[v->row].band_hz;
    if (sensor->bandwidth_hz < v->band_hz) {
        v->band_hz = (uint16_t)sensor->bandwidth_hz;
    }
    whir_velocity_reset(v);
    return 0;
}

static void second_begin(whir_velocity_t *v)
{
    memset(v->sum, 0, sizeof v->sum);
    v->to_go = WHIR_VELOCITY_RATE[v->row].rate_hz;
}

static void settle(whir_velocity_t *v)
{
    v->settling = (uint16_t)(WHIR_VELOCITY_RATE[v->row].rate_hz * 3u / 4);
    v->valid = 0;
    second_begin(v);
}

void whir_velocity_reset(whir_velocity_t *v)
{
    if (v->band_hz == 0) {
        return;
    }
    whir_condition_reset(&v->condition);
    memset(v->section, 0, sizeof v->section);
    v->started = 0;
    settle(v);
}

/* State-variable filter; returns its high-pass output, the band-pass (the integral, within a factor) is s->band. */
static int32_t section_push(whir_velocity_section_t *s, int32_t omega, int32_t damping, int32_t x)
{
    int32_t high = x - s->low - product(damping, s->band);

    s->band += product(omega, high);
    s->low += product(omega, s->band);
    return high;
}

/* A running sum gives each frequency f (pi f) / sin(pi f) times too strongly; the taps take that back. */
static int32_t equalized(const whir_velocity_t *v, uint32_t ch)
{
    int32_t x = v->taps[CENTRE][ch] * WHIR_VELOCITY_TAPS_Q14[0];

    for (uint32_t i = 1; i <= CENTRE; i++) {
        x += (v->taps[CENTRE - i][ch] + v->taps[CENTRE + i][ch]) * WHIR_VELOCITY_TAPS_Q14[i];
    }
    return (x + (1 << (TAPS_BITS - STATE_BITS - 1))) >> (TAPS_BITS - STATE_BITS);
}

/* As if the first sample had been there for ever: gravity makes no step. */
static void start(whir_velocity_t *v, const int16_t *sample)
{
    for (uint32_t ch = 0; ch < v->channels; ch++) {
        for (uint32_t i = 0; i < WHIR_VELOCITY_TAPS; i++) {
            v->taps[i][ch] = sample[ch];
        }
        v->section[0][ch].low = equalized(v, ch);
    }
    v->started = 1;
}

static void channel_push(whir_velocity_t *v, uint32_t ch, int16_t sample)
{
    const whir_velocity_rate_t *rate = &WHIR_VELOCITY_RATE[v->row];
    int32_t x, y;

    for (uint32_t i = WHIR_VELOCITY_TAPS - 1; i != 0; i--) {
        v->taps[i][ch] = v->taps[i - 1][ch];
    }
    v->taps[0][ch] = sample;
    x = equalized(v, ch);
    x = section_push(&v->section[0][ch], rate->omega_q30[0], rate->damping_q30[0], x);
    (void)section_push(&v->section[1][ch], rate->omega_q30[1], rate->damping_q30[1], x);
    if (v->settling == 0) {
        y = v->section[1][ch].band >> SQUARE_SHIFT;
        v->sum[ch] += (uint64_t)((int64_t)y * y);
    }
}

static void second_end(whir_velocity_t *v)
{
    const whir_velocity_rate_t *rate = &WHIR_VELOCITY_RATE[v->row];

    v->worst_um_s = 0;
    for (uint32_t ch = 0; ch < v->channels; ch++) {
        uint64_t rms = whir_isqrt64(v->sum[ch] / rate->rate_hz);
        v->um_s[ch] = (uint32_t)(((rms * v->lsb_nano >> 12) * rate->scale_q40 + (1u << 27)) >> 28);
        if (v->um_s[ch] > v->worst_um_s) {
            v->worst_um_s = v->um_s[ch];
        }
    }
    v->valid = 1;
    second_begin(v);
}

int whir_velocity_push(whir_velocity_t *v, const int16_t *sample)
{
    int16_t x[CHANNELS];
    int kind;

    if (v->band_hz == 0) {
        return 0;
    }
    kind = whir_condition_push(&v->condition, sample, x);
    if (kind == 0) {
        return 0;
    }
    if (!v->started) {
        start(v, x);
    }
    for (uint32_t ch = 0; ch < v->channels; ch++) {
        channel_push(v, ch, x[ch]);
    }
    if (kind == WHIR_CONDITION_CLIPPED) {
        settle(v);
        return 0;
    }
    if (v->settling != 0) {
        v->settling--;
        return 0;
    }
    v->to_go--;
    if (v->to_go != 0) {
        return 0;
    }
    second_end(v);
    return 1;
}
