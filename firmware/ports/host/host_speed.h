#ifndef WHIR_HOST_SPEED_H
#define WHIR_HOST_SPEED_H

#include <stdint.h>

struct host_sensor;

/*
 * The speed looked for in a stream, every half second, 1e-3 turns a second, sure or not; `mhz` and `permille` (its confidence)
 * hold `max`. Returns how many there are, or a negative code.
 */
int32_t host_speed(const struct host_sensor *sensor, const int16_t *samples, uint32_t count, uint32_t *mhz, uint16_t *permille,
                   uint32_t max);

#endif
