#include "whir/zone.h"

#include <string.h>

static const struct {
    uint8_t group, foundation;
    uint32_t over_w, to_w;
    uint32_t ab_um_s, bc_um_s, cd_um_s;
} LIMITS[] = {
#define ROW(...) {__VA_ARGS__},
    WHIR_ZONE_LIMITS(ROW)
#undef ROW
};

uint8_t whir_zone_limits_find(const whir_machine_t *machine, const whir_sensor_info_t *sensor, uint16_t band_hz,
                              whir_zone_limits_t *limits)
{
    memset(limits, 0, sizeof *limits);
    if (machine->power_w == 0 || machine->group == WHIR_MACHINE_GROUP_UNSET || machine->foundation == WHIR_FOUNDATION_UNSET) {
        return WHIR_ZONE_REASON_MACHINE_UNSET;
    }
    if (sensor->unit != WHIR_UNIT_G && sensor->unit != WHIR_UNIT_MPS2) {
        return WHIR_ZONE_REASON_NOT_ACCELERATION;
    }
    if (!machine->calibrated) {
        return WHIR_ZONE_REASON_UNCALIBRATED;
    }
    if (band_hz < WHIR_ZONE_BAND_HIGH_HZ) {
        return WHIR_ZONE_REASON_BAND_NOT_COVERED;
    }
    for (unsigned i = 0; i < sizeof LIMITS / sizeof LIMITS[0]; i++) {
        if (LIMITS[i].group == machine->group && LIMITS[i].foundation == machine->foundation &&
            machine->power_w > LIMITS[i].over_w && machine->power_w <= LIMITS[i].to_w) {
            limits->ab_um_s = LIMITS[i].ab_um_s;
            limits->bc_um_s = LIMITS[i].bc_um_s;
            limits->cd_um_s = LIMITS[i].cd_um_s;
            limits->change_um_s = LIMITS[i].bc_um_s * WHIR_ZONE_CHANGE_PERCENT / 100;
            return WHIR_ZONE_REASON_GIVEN;
        }
    }
    return WHIR_ZONE_REASON_NO_STANDARD;
}

uint8_t whir_zone(const whir_zone_limits_t *limits, uint32_t um_s)
{
    if (um_s < limits->ab_um_s) {
        return WHIR_ZONE_A;
    }
    if (um_s < limits->bc_um_s) {
        return WHIR_ZONE_B;
    }
    return um_s < limits->cd_um_s ? WHIR_ZONE_C : WHIR_ZONE_D;
}
