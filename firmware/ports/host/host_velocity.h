#ifndef WHIR_HOST_VELOCITY_H
#define WHIR_HOST_VELOCITY_H

#include <stdint.h>

struct host_sensor;

/* What is known of the machine; all 0: nothing. */
typedef struct host_machine {
    uint32_t power_w;
    uint8_t group, foundation, calibrated;
} host_machine_t;

/*
 * Velocity RMS of each whole second of a stream, 1e-6 m/s for each of the sensor's channels; `um_s` holds `max` seconds.
 * Returns how many there are, or a negative code; band_hz: how far up it reaches.
 */
int32_t host_velocity(const struct host_sensor *sensor, const int16_t *samples, uint32_t count, uint32_t *um_s, uint32_t max,
                      uint32_t *band_hz);
/* Bytes of state that one stream takes. */
uint32_t host_velocity_state_bytes(void);

/* enum zone_reason; when 0, *zone is enum zone, and limits are A/B, B/C, C/D and the change that counts, 1e-6 m/s. */
uint8_t host_zone(const host_machine_t *machine, const struct host_sensor *sensor, uint32_t band_hz, uint32_t um_s,
                  uint8_t *zone, uint32_t *limits);

#endif
