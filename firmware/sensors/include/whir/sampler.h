#ifndef WHIR_SAMPLER_H
#define WHIR_SAMPLER_H

#include "whir/accel.h"

/* What a sampling task hands on. */
typedef struct whir_block {
    uint8_t gap; /* samples were lost before these */
    uint8_t count;
    int16_t samples[WHIR_ACCEL_BURST][3];
} whir_block_t;

/* A sensor that is read for ever: opened anew when it fails, standing by while nobody wants samples. */
typedef struct whir_sampler {
    whir_accel_t *accel;
    whir_accel_settings_t settings;
    uint8_t open, rests;
    uint64_t retry_us;
    uint32_t overruns, reopens;
} whir_sampler_t;

/* `accel` has been opened with these settings. */
void whir_sampler_init(whir_sampler_t *s, whir_accel_t *accel, const whir_accel_settings_t *settings);
/* One turn: the next samples into `block`, which may be none. Returns for how many ms to wait until the next one, or less when
 * the sensor's interrupt comes; 0: more samples wait already. The interrupt is a hint: a lost one costs the time to half the
 * FIFO. */
uint32_t whir_sampler_turn(whir_sampler_t *s, int wanted, whir_block_t *block, uint64_t now_us);

#endif
