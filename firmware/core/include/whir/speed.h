#ifndef WHIR_SPEED_H
#define WHIR_SPEED_H

#include <stdint.h>

#include "whir/condition.h"

/*
 * The shaft's speed from its own harmonics, for a node that nobody has told it: whole orders stand out of the spectrum of every
 * rotating machine. Formulas and what it can do: docs/SPEC.md, The shaft's speed. Integer only; 8.9 KB, the caller's.
 */
#define WHIR_SPEED_RATE_HZ 1000u
#define WHIR_SPEED_SAMPLES 1024u /* about a second: bins of 0.98 Hz */
#define WHIR_SPEED_BINS 410u     /* up to 400 Hz, where conditioning begins to fall off */
#define WHIR_SPEED_SURE_PERMILLE 200u

typedef struct whir_speed {
    whir_condition_t condition;
    uint8_t channels;             /* 0: the sensor is too slow */
    uint16_t filled;              /* samples in the window */
    uint16_t windows;             /* in the mean, at most 8 */
    uint32_t shaft_mhz;           /* 1e-3 turns a second; 0: not sure */
    uint32_t best_mhz;            /* sure or not */
    uint16_t confidence_permille; /* how far the best speed is ahead of the next */
    int16_t level_q8[WHIR_SPEED_BINS];
    int16_t prominence_q8[WHIR_SPEED_BINS];
    int16_t window[WHIR_SPEED_SAMPLES * WHIR_WINDOW_CHANNELS_MAX];
} whir_speed_t;

/* 0, or the error of conditioning for a sensor under 1 kHz: then there is never a speed. */
int whir_speed_init(whir_speed_t *s, const whir_sensor_info_t *sensor);
/* Samples were lost, or the machine is another one. */
void whir_speed_reset(whir_speed_t *s);
/* One sample of the sensor. scratch: WHIR_SPEED_SAMPLES words, only during the call. Returns 1 when the speed was looked for
 * anew: every half second. */
int whir_speed_push(whir_speed_t *s, const int16_t *counts, int32_t *scratch);

#endif
