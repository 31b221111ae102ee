#ifndef WHIR_CONDITION_H
#define WHIR_CONDITION_H

#include <stdint.h>

#include "whir/envelope.h"
#include "whir/params.h"
#include "whir/port/sensor.h"

/*
 * Conditioning: from the sensor's measured output rate, counts and unit to the bundle's rate and counts. Integer only.
 * Cascaded half-band decimators bring the ratio under 4, a windowed-sinc fractional decimator does the rest (pass band to
 * 0.4 of the output rate, stop band at least 60 dB from 0.6). Equal rates pass through unchanged but for the scale;
 * so does a sensor that is slow by no more than 1 %, as two of one type may differ: its frequencies read high by as much.
 * An axis of which the bundle wants the envelope goes through whir_envelope first.
 * State is the caller's; nothing is allocated.
 */
#define WHIR_CONDITION_STAGES_MAX 5
#define WHIR_CONDITION_TAPS_MAX 80

typedef struct whir_condition whir_condition_t;

#include "whir/condition_state.h"

/*
 * 0; WHIR_ERR_BUNDLE_SENSOR when the sensor hears less than the bundle needs (rate under 99 % of the bundle's, bandwidth,
 * range, noise, channels, unit or count size that cannot be converted); WHIR_ERR_BUNDLE_FEATURES when its rate is 128 times the
 * bundle's or more, or it wants an envelope and there is no state for one. `envelope`: must outlive `c`, or NULL.
 */
int whir_condition_init(whir_condition_t *c, const whir_params_t *params, const whir_sensor_info_t *sensor,
                        whir_envelope_t *envelope);

/* Forget history, e.g. after a gap. */
void whir_condition_reset(whir_condition_t *c);

/* What a push gives: a sample; a sample that rests on input at the sensor's full scale, which the filters would hide. */
#define WHIR_CONDITION_SAMPLE 1
#define WHIR_CONDITION_CLIPPED 2

/*
 * One sensor sample in (`sensor.channels` counts), at most one sample out (`params.channels` counts), saturated to int16.
 * Returns WHIR_CONDITION_… when `out` holds a sample, 0 when not: between two outputs, and until the filters are full of real
 * samples.
 */
int whir_condition_push(whir_condition_t *c, const int16_t *in, int16_t *out);

#endif
