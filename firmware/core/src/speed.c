#include "whir/speed.h"

#include <string.h>

#include "axis.h"
#include "fft.h"

#define KEPT (WHIR_SPEED_SAMPLES / 2) /* windows overlap by half */
#define AVERAGED 8u                   /* windows in the running mean of levels */
#define AROUND 6u                     /* bins either way, of whose mean a peak stands out */
#define PROMINENCE_MAX_Q8 (6 << 8)    /* more says nothing more: no single tone may outvote a comb */
#define HARMONICS 8u
#define STEPS 8u /* of the grid of speeds, in a bin */
#define FIRST (8u * STEPS)
#define COUNT (94u * STEPS) /* 7.8 .. 99.6 Hz */
#define APART_PERCENT 6u    /* speeds further apart are rivals */
#define FINE 64             /* of a step */
/* A comb whose harmonics do not stand out by 1.5 (log2) in the weighed mean is noise, which reaches 0.85. */
#define COMB_MIN ((int32_t)(3 * 256 / 2 * STEPS * (HARMONICS * (HARMONICS + 1) / 2)))

int whir_speed_init(whir_speed_t *s, const whir_sensor_info_t *sensor)
{
    whir_params_t params;
    int err;

    memset(s, 0, sizeof *s);
    memset(&params, 0, sizeof params);
    params.rate_hz = WHIR_SPEED_RATE_HZ;
    params.noise_ug_rthz_max = UINT32_MAX;
    params.channels = sensor->channels;
    params.axes = (uint8_t)((1u << sensor->channels) - 1);
    params.unit = sensor->unit;
    params.lsb_nano = sensor->lsb_nano;
    err = whir_condition_init(&s->condition, &params, sensor, NULL);
    s->channels = err < 0 ? 0 : sensor->channels;
    return err;
}

void whir_speed_reset(whir_speed_t *s)
{
    if (s->channels != 0) {
        whir_condition_reset(&s->condition);
    }
    s->filled = 0;
    s->windows = 0;
    s->shaft_mhz = 0;
}

/* Level of each bin on the axis that hears it best, log2 of counts^2 in Q8. */
static void window_levels(const whir_speed_t *s, int32_t *scratch, int16_t *heard)
{
    for (uint32_t k = 0; k < WHIR_SPEED_BINS; k++) {
        heard[k] = WHIR_AXIS_POWER_FLOOR_Q16 / 256;
    }
    for (uint32_t c = 0; c < s->channels; c++) {
        whir_axis_t axis;
        int32_t unit;

        whir_axis_measure(&axis, s->window + c, WHIR_SPEED_SAMPLES, s->channels);
        if (axis.peak == 0) {
            continue;
        }
        unit = whir_axis_power_unit(WHIR_SPEED_SAMPLES, whir_axis_spectrum(&axis, scratch));
        for (uint32_t k = 0; k < WHIR_SPEED_BINS; k++) {
            int32_t level = whir_axis_power_log2(whir_fft_power(scratch, WHIR_SPEED_SAMPLES, k, k + 1), unit) >> 8;
            heard[k] = (int16_t)(level > heard[k] ? level : heard[k]);
        }
    }
}

static void average(whir_speed_t *s, const int16_t *heard)
{
    s->windows = (uint16_t)(s->windows + (s->windows < AVERAGED));
    for (uint32_t k = 0; k < WHIR_SPEED_BINS; k++) {
        int32_t level = s->windows == 1 ? heard[k] : s->level_q8[k];
        s->level_q8[k] = (int16_t)(level + (heard[k] - level) / s->windows);
    }
}

/* How far each bin stands out of the mean of what lies around it. */
static void stand_out(whir_speed_t *s)
{
    for (uint32_t k = 0; k < WHIR_SPEED_BINS; k++) {
        uint32_t from = k < AROUND ? 0 : k - AROUND;
        uint32_t to = k + AROUND < WHIR_SPEED_BINS ? k + AROUND : WHIR_SPEED_BINS - 1;
        int32_t sum = 0, over;

        for (uint32_t i = from; i <= to; i++) {
            sum += s->level_q8[i];
        }
        over = s->level_q8[k] - sum / (int32_t)(to - from + 1);
        s->prominence_q8[k] = (int16_t)(over < 0 ? 0 : over > PROMINENCE_MAX_Q8 ? PROMINENCE_MAX_Q8 : over);
    }
}

/* What stands at the harmonics of a speed of `step` grid steps, the first ones counting most. */
static int32_t comb(const whir_speed_t *s, uint32_t step)
{
    int32_t score = 0;

    for (uint32_t harmonic = 1; harmonic <= HARMONICS; harmonic++) {
        uint32_t bin = step * harmonic / STEPS, rest = step * harmonic % STEPS;
        if (bin + 1 >= WHIR_SPEED_BINS) {
            break;
        }
        score += (int32_t)(HARMONICS + 1 - harmonic) *
                 (s->prominence_q8[bin] * (int32_t)(STEPS - rest) + s->prominence_q8[bin + 1] * (int32_t)rest);
    }
    return score;
}

/* Where the summit lies between the steps, by a parabola; 1e-3 turns a second. */
static uint32_t summit_mhz(const int32_t *scores, uint32_t best)
{
    int32_t place = (int32_t)(FIRST + best) * FINE;

    if (best != 0 && best + 1 != COUNT) {
        int32_t slope = scores[best - 1] - scores[best + 1];
        int32_t bend = scores[best - 1] - 2 * scores[best] + scores[best + 1];
        if (bend != 0) {
            place += slope * (FINE / 2) / bend;
        }
    }
    return (uint32_t)((uint64_t)place * (WHIR_SPEED_RATE_HZ * 1000) / (STEPS * FINE * WHIR_SPEED_SAMPLES));
}

static void look(whir_speed_t *s, int32_t *scores)
{
    uint32_t best = 0;
    int32_t rival = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        scores[i] = comb(s, FIRST + i);
        best = scores[i] > scores[best] ? i : best;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t apart = i < best ? best - i : i - best;
        if (apart * 100 > APART_PERCENT * (FIRST + best) && scores[i] > rival) {
            rival = scores[i];
        }
    }
    s->confidence_permille = (uint16_t)(scores[best] < COMB_MIN ? 0 : 1000 - (int64_t)rival * 1000 / scores[best]);
    s->best_mhz = summit_mhz(scores, best);
    s->shaft_mhz = s->confidence_permille < WHIR_SPEED_SURE_PERMILLE ? 0 : s->best_mhz;
}

int whir_speed_push(whir_speed_t *s, const int16_t *counts, int32_t *scratch)
{
    int16_t *at = s->window + (uint32_t)s->filled * s->channels;

    if (s->channels == 0 || whir_condition_push(&s->condition, counts, at) == 0) {
        return 0;
    }
    s->filled++;
    if (s->filled < WHIR_SPEED_SAMPLES) {
        return 0;
    }
    window_levels(s, scratch, s->prominence_q8);
    average(s, s->prominence_q8);
    stand_out(s);
    look(s, scratch);
    memmove(s->window, s->window + KEPT * s->channels, KEPT * s->channels * sizeof s->window[0]);
    s->filled = KEPT;
    return 1;
}
