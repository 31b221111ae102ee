#ifndef WHIR_CONDITION_STATE_H
#define WHIR_CONDITION_STATE_H

#include <stdint.h>

#include "whir/envelope.h"

/* Histories of a half-band decimator of 23 taps: every other input meets the taps, those between only the centre. */
#define WHIR_CONDITION_HALFBAND_TAPPED 12
#define WHIR_CONDITION_HALFBAND_DELAYED 6

typedef struct whir_condition_stage {
    int16_t tapped[WHIR_CONDITION_HALFBAND_TAPPED][WHIR_WINDOW_CHANNELS_MAX];
    int16_t delayed[WHIR_CONDITION_HALFBAND_DELAYED][WHIR_WINDOW_CHANNELS_MAX];
    uint8_t tapped_head, delayed_head; /* the oldest of each */
    uint8_t seen;                      /* inputs since reset; once the filter is full, only the parity goes on */
} whir_condition_stage_t;

/* 1.1 KB; nothing in it is for callers. */
struct whir_condition {
    uint8_t axis[WHIR_WINDOW_CHANNELS_MAX]; /* of the sensor, for each channel */
    uint8_t channels;
    uint8_t direct; /* equal rates: scale only */
    uint8_t stages;
    uint8_t taps_head;         /* the oldest of `taps` */
    uint8_t gain_shift;        /* counts out = counts in * gain / 2^gain_shift */
    uint32_t gain;             /* 2^30 .. 2^31 */
    int32_t rail;              /* counts at which the sensor is taken to be at its full scale */
    uint8_t taint_outputs;     /* outputs that one clipped input reaches */
    uint8_t tainted;           /* of them, still to come */
    whir_envelope_t *envelope; /* NULL: none of the axes is one */

    /* The output's clock, exact: one input of the last filter lasts `input_ticks`, one output `output_ticks`. */
    uint32_t input_ticks, output_ticks;
    uint32_t due;         /* ticks from the newest input to the end of the next output's kernel */
    uint64_t entries_q48; /* kernel entries per tick */

    int16_t taps[WHIR_CONDITION_TAPS_MAX][WHIR_WINDOW_CHANNELS_MAX];
    whir_condition_stage_t stage[WHIR_CONDITION_STAGES_MAX];
};

#endif
