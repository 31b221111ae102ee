#ifndef WHIR_ZONE_H
#define WHIR_ZONE_H

#include <stdint.h>

#include "whir/contract.h"
#include "whir/port/sensor.h"

/* The machine that the sensor sits on. All zeros: nobody has said. */
typedef struct whir_machine {
    uint32_t power_w;   /* rated */
    uint8_t group;      /* WHIR_MACHINE_GROUP_… */
    uint8_t foundation; /* WHIR_FOUNDATION_… */
    uint8_t calibrated; /* the sensor's unit is known to be right */
    uint32_t shaft_mhz; /* nominal speed, 1e-3 turns a second: for models with order bands */
} whir_machine_t;

/* Limits of velocity RMS, from contracts/zones.toml. */
typedef struct whir_zone_limits {
    uint32_t ab_um_s, bc_um_s, cd_um_s;
    uint32_t change_um_s; /* a change of more than this from the baseline counts */
} whir_zone_limits_t;

/* The limits for this machine and sensor, whose velocity reaches up to band_hz. Returns WHIR_ZONE_REASON_GIVEN, or why there
 * are none (limits are then 0). */
uint8_t whir_zone_limits_find(const whir_machine_t *machine, const whir_sensor_info_t *sensor, uint16_t band_hz,
                              whir_zone_limits_t *limits);

/* WHIR_ZONE_A to WHIR_ZONE_D; a value at a limit is in the worse zone. */
uint8_t whir_zone(const whir_zone_limits_t *limits, uint32_t um_s);

#endif
