#ifndef WHIR_ALARM_H
#define WHIR_ALARM_H

#include <stdint.h>

#define WHIR_ALARM_TICK_MS 125

#define WHIR_ALARM_LED 1
#define WHIR_ALARM_BUZZER 2
#define WHIR_ALARM_RELAY 4

/*
 * The local alarm of a severity: what is on at a tick, WHIR_ALARM_… bits. Patterns repeat after eight ticks, one second. A
 * light that blinks once is advisory, twice a warning, all the time critical; the relay and the buzzer begin with the warning,
 * and the buzzer can be silenced.
 */
uint8_t whir_alarm_at(uint8_t severity, uint32_t tick, int silenced);

#endif
