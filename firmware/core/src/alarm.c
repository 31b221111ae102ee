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

#define SHOWN 0x55 /* as fast as critical, whatever the severity */

void whir_alarm_set(whir_alarm_t *a, uint8_t severity)
{
    a->severity = severity < sizeof PATTERNS / sizeof PATTERNS[0] ? severity : WHIR_SEVERITY_CRITICAL;
    a->silenced = 0;
}

void whir_alarm_show(whir_alarm_t *a, uint32_t seconds)
{
    a->shown = seconds * (1000 / WHIR_ALARM_TICK_MS);
}

uint8_t whir_alarm_tick(whir_alarm_t *a, int button)
{
    uint32_t bit = 1u << a->tick++ % 8u;
    uint8_t severity = a->severity;
    uint32_t led = a->shown > 0 ? SHOWN : PATTERNS[severity].led;
    uint32_t on = (led & bit) != 0 ? WHIR_ALARM_LED : 0u;

    a->shown -= a->shown > 0;
    a->silenced = a->silenced || button;
    on |= !a->silenced && (PATTERNS[severity].buzzer & bit) != 0 ? WHIR_ALARM_BUZZER : 0u;
    on |= PATTERNS[severity].relay ? WHIR_ALARM_RELAY : 0u;
    return (uint8_t)on;
}
