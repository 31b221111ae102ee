#ifndef WHIR_ENVELOPE_H
#define WHIR_ENVELOPE_H

#include <stdint.h>

#include "whir/params.h"

/*
 * The envelope of a band of the sensor's own stream, before conditioning brings it to the bundle's rate: what strikes in a
 * bearing rings at some kHz, and how often it strikes stands in how the ringing swells. Band-pass (Butterworth, 4th order at
 * either end) and rectification; the low-pass behind it is the conditioning's. Formulas: docs/SPEC.md, Envelope. Integer only.
 */
#define WHIR_ENVELOPE_SECTIONS 4 /* two of the high-pass, two of the low-pass */

typedef struct whir_envelope {
    uint8_t channels; /* bit mask of the window's channels that are envelopes */
    struct {
        int32_t gain, back1, back2; /* Q30 */
    } section[WHIR_ENVELOPE_SECTIONS];
    int32_t before[WHIR_WINDOW_CHANNELS_MAX][WHIR_ENVELOPE_SECTIONS + 1][2]; /* Q10: last values of input and each section */
} whir_envelope_t;

/* 0; WHIR_ERR_BUNDLE_SENSOR when the band's upper end lies above 0.45 of the sensor's rate. `params` has an envelope. */
int whir_envelope_init(whir_envelope_t *e, const whir_params_t *params, uint32_t rate_mhz);
void whir_envelope_reset(whir_envelope_t *e);
/* One count of a channel that is an envelope; the result is not saturated: up to 2^19. */
int32_t whir_envelope_push(whir_envelope_t *e, uint32_t channel, int16_t count);

#endif
