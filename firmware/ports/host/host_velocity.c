#include "host_velocity.h"

#include <string.h>

#include "seams.h"
#include "whir/velocity.h"
#include "whir/zone.h"

int32_t host_velocity(const host_sensor_t *sensor, const int16_t *samples, uint32_t count, uint32_t *um_s, uint32_t max,
                      uint32_t *band_hz)
{
    whir_sensor_info_t info = host_sensor_info(sensor);
    whir_velocity_t velocity;
    uint32_t seconds = 0;
    int err = whir_velocity_init(&velocity, &info);

    *band_hz = velocity.band_hz;
    if (err < 0) {
        return err;
    }
    for (uint32_t i = 0; i < count && seconds < max; i++) {
        if (whir_velocity_push(&velocity, samples + (uint64_t)i * info.channels)) {
            memcpy(um_s + (uint64_t)seconds * info.channels, velocity.um_s, info.channels * sizeof um_s[0]);
            seconds++;
        }
    }
    return (int32_t)seconds;
}

uint32_t host_velocity_state_bytes(void)
{
    return (uint32_t)sizeof(whir_velocity_t);
}

uint8_t host_zone(const host_machine_t *machine, const host_sensor_t *sensor, uint32_t band_hz, uint32_t um_s, uint8_t *zone,
                  uint32_t *limits)
{
    whir_machine_t core = {machine->power_w, machine->group, machine->foundation, machine->calibrated, 0};
    whir_sensor_info_t info = host_sensor_info(sensor);
    whir_zone_limits_t found;
    uint8_t reason = whir_zone_limits_find(&core, &info, (uint16_t)band_hz, &found);

    limits[0] = found.ab_um_s;
    limits[1] = found.bc_um_s;
    limits[2] = found.cd_um_s;
    limits[3] = found.change_um_s;
    *zone = reason == WHIR_ZONE_REASON_GIVEN ? whir_zone(&found, um_s) : WHIR_ZONE_NONE;
    return reason;
}
