#include "whir/envelope.h"

#include <string.h>

#include "tables.h"

#define COEFFICIENT_BITS 30
#define STATE_BITS 10 /* counts of 2^15, sections that together swell by 13 at most: 29 bits */
#define HIGH_PASS 2   /* sections from here on are the low-pass */
#define QUARTER (WHIR_SINE_STEPS / 4)
#define RATE_PERCENT 45 /* of the sensor's rate: up to where the band may reach */

/* 2 cos(pi / 8) and 2 cos(3 pi / 8): the damping of the two pairs of poles of a Butterworth filter of 4th order. */
static const int32_t DAMPING_Q30[2] = {1984016189, 821806413};

/* sin of `angle` / 2^16 steps, of which a turn has WHIR_SINE_STEPS; up to half a turn. Between two entries linear: 5e-6. */
static int32_t sine_q30(uint32_t angle)
{
    uint32_t step, low, high;

    if (angle > QUARTER << 16) {
        angle = (2 * QUARTER << 16) - angle;
    }
    step = angle >> 16;
    low = (uint32_t)WHIR_SINE_Q30[step];
    high = (uint32_t)WHIR_SINE_Q30[step == QUARTER ? step : step + 1];
    return (int32_t)(low + (uint32_t)(((uint64_t)(high - low) * (angle & 0xFFFF)) >> 16));
}

static int32_t ratio_q30(int64_t num_q30, int64_t den_q30)
{
    uint64_t size = ((uint64_t)(num_q30 < 0 ? -num_q30 : num_q30) << COEFFICIENT_BITS) / (uint64_t)den_q30;

    return num_q30 < 0 ? -(int32_t)size : (int32_t)size;
}

/* The two sections of one end of the band: bilinear transform, with the corner where it is asked for. */
static void end_set(whir_envelope_t *e, uint32_t first, uint32_t hz, uint32_t rate_mhz)
{
    uint32_t angle = (uint32_t)((((uint64_t)hz * 1000 * WHIR_SINE_STEPS) << 16) / rate_mhz);
    int32_t sine = sine_q30(angle);
    int32_t cosine = angle <= QUARTER << 16 ? sine_q30((QUARTER << 16) - angle) : -sine_q30(angle - (QUARTER << 16));
    const int64_t one = 1 << COEFFICIENT_BITS;

    for (uint32_t i = 0; i < 2; i++) {
        int64_t alpha = ((int64_t)DAMPING_Q30[i] * sine) >> (COEFFICIENT_BITS + 1);
        e->section[first + i].gain = ratio_q30((one + (first < HIGH_PASS ? cosine : -cosine)) / 2, one + alpha);
        e->section[first + i].back1 = ratio_q30(-2 * (int64_t)cosine, one + alpha);
        e->section[first + i].back2 = ratio_q30(one - alpha, one + alpha);
    }
}

int whir_envelope_init(whir_envelope_t *e, const whir_params_t *params, uint32_t rate_mhz)
{
    if ((uint64_t)params->envelope_high_hz * 1000 * 100 > (uint64_t)rate_mhz * RATE_PERCENT) {
        return WHIR_ERR_BUNDLE_SENSOR;
    }
    e->channels = 0;
    for (uint32_t axis = 0, channel = 0; axis < WHIR_WINDOW_CHANNELS_MAX; axis++) {
        if ((params->axes >> axis & 1) != 0) {
            e->channels = (uint8_t)(e->channels | (params->envelope_axes >> axis & 1) << channel);
            channel++;
        }
    }
    end_set(e, 0, params->envelope_low_hz, rate_mhz);
    end_set(e, HIGH_PASS, params->envelope_high_hz, rate_mhz);
    whir_envelope_reset(e);
    return 0;
}

void whir_envelope_reset(whir_envelope_t *e)
{
    memset(e->before, 0, sizeof e->before);
}

int32_t whir_envelope_push(whir_envelope_t *e, uint32_t channel, int16_t count)
{
    int32_t value = count * (1 << STATE_BITS);

    for (uint32_t i = 0; i < WHIR_ENVELOPE_SECTIONS; i++) {
        int32_t *in = e->before[channel][i], *out = e->before[channel][i + 1];
        int32_t forward = value + in[1] + (i < HIGH_PASS ? -2 : 2) * in[0];
        int64_t sum = (int64_t)e->section[i].gain * forward - (int64_t)e->section[i].back1 * out[0] -
                      (int64_t)e->section[i].back2 * out[1];
        in[1] = in[0];
        in[0] = value;
        value = (int32_t)((sum + (1 << (COEFFICIENT_BITS - 1))) >> COEFFICIENT_BITS);
    }
    e->before[channel][WHIR_ENVELOPE_SECTIONS][1] = e->before[channel][WHIR_ENVELOPE_SECTIONS][0];
    e->before[channel][WHIR_ENVELOPE_SECTIONS][0] = value;
    value = value < 0 ? -value : value;
    return (value + (1 << (STATE_BITS - 1))) >> STATE_BITS;
}
