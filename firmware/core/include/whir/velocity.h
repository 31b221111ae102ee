#ifndef WHIR_VELOCITY_H
#define WHIR_VELOCITY_H

#include <stdint.h>

#include "whir/condition.h"
#include "whir/port/sensor.h"

/*
 * Velocity RMS from the sensor's own stream, before it is decimated to the bundle's rate: conditioned to m/s² at the highest of
 * 2500, 1250 and 625 Hz that the sensor reaches (so up to 1000, 500 or 250 Hz), high-passed (Butterworth, 4th order, -3 dB at
 * 6 Hz) and integrated, over one second. Integer only; accuracy: docs/SPEC.md. State is the caller's.
 */
#define WHIR_VELOCITY_TAPS 7

typedef struct whir_velocity_section {
    int32_t band, low; /* states of a state-variable filter, counts Q12 */
} whir_velocity_section_t;

typedef struct whir_velocity {
    whir_condition_t condition;
    uint8_t channels;
    uint8_t row;      /* of the table of rates */
    uint16_t band_hz; /* upper end of the band; 0 = the sensor gives no velocity */
    uint32_t lsb_nano;
    int16_t taps[WHIR_VELOCITY_TAPS][WHIR_WINDOW_CHANNELS_MAX]; /* the newest first */
    uint8_t started;
    whir_velocity_section_t section[2][WHIR_WINDOW_CHANNELS_MAX];
    uint64_t sum[WHIR_WINDOW_CHANNELS_MAX]; /* of squares */
    uint16_t settling;                      /* samples until the filters have settled */
    uint16_t to_go;                         /* samples until the second is full */

    uint8_t valid;                           /* the figures below hold */
    uint32_t um_s[WHIR_WINDOW_CHANNELS_MAX]; /* RMS of the last whole second, of each axis of the sensor */
    uint32_t worst_um_s;                     /* of the axis that moves most */
} whir_velocity_t;

/* 0; WHIR_ERR_BUNDLE_SENSOR when the sensor does not give acceleration in a known unit, is slower than 625 Hz or is otherwise
 * refused by the conditioning (band_hz is then 0 and a push does nothing). */
int whir_velocity_init(whir_velocity_t *v, const whir_sensor_info_t *sensor);

/* Samples were lost: what comes next is measured anew, after the filters have settled (0.75 s). */
void whir_velocity_reset(whir_velocity_t *v);

/* One sample of the sensor in. Returns 1 when a second is full and the figures are new, else 0. A second in which the sensor
 * was at its full scale is dropped, and the figures are no longer valid. */
int whir_velocity_push(whir_velocity_t *v, const int16_t *sample);

#endif
