#include "whir/alarm.h"

#include "whir/contract.h"

/* The first tick in the lowest bit. */
static const struct {
    uint8_t led, buzzer, relay;
} PATTERNS[] = {
    [WHIR_SEVERITY_NONE] = {0x00, 0x00, 0},
    [WHIR_SEVERITY_ADVISORY] = {0x01, 0x00, 0},
    [WHIR_SEVERITY_WARNING] = {0x05, 0x01, 1},
    [WHIR_SEVERITY_CRITICAL] = {0x55, 0x55, 1},
};

uint8_t whir_alarm_at(uint8_t severity, uint32_t tick, int silenced)
{
    uint32_t bit = 1u << tick % 8u;
    uint32_t known = severity < sizeof PATTERNS / sizeof PATTERNS[0] ? severity : WHIR_SEVERITY_CRITICAL;
    uint32_t on = (PATTERNS[known].led & bit) != 0 ? WHIR_ALARM_LED : 0u;

    on |= !silenced && (PATTERNS[known].buzzer & bit) != 0 ? WHIR_ALARM_BUZZER : 0u;
    on |= PATTERNS[known].relay ? WHIR_ALARM_RELAY : 0u;
    return (uint8_t)on;
}
