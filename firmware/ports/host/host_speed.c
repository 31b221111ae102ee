#include "host_speed.h"

#include "seams.h"
#include "whir/speed.h"

int32_t host_speed(const host_sensor_t *sensor, const int16_t *samples, uint32_t count, uint32_t *mhz, uint16_t *permille,
                   uint32_t max)
{
    whir_sensor_info_t info = host_sensor_info(sensor);
    int32_t scratch[WHIR_SPEED_SAMPLES];
    whir_speed_t speed;
    uint32_t made = 0;
    int err = whir_speed_init(&speed, &info);

    if (err < 0) {
        return err;
    }
    for (uint32_t i = 0; i < count && made < max; i++) {
        if (whir_speed_push(&speed, samples + (uint64_t)i * info.channels, scratch)) {
            mhz[made] = speed.best_mhz;
            permille[made] = speed.confidence_permille;
            made++;
        }
    }
    return (int32_t)made;
}
