#ifndef WHIR_ALARM_H
#define WHIR_ALARM_H

#include <stdint.h>

#define WHIR_ALARM_TICK_MS 125

#define WHIR_ALARM_LED 1
#define WHIR_ALARM_BUZZER 2
#define WHIR_ALARM_RELAY 4

/*
 * The local alarm of a severity. Patterns repeat after eight ticks, one second. A light that blinks once is advisory, twice a
 * warning, all the time critical; the relay and the buzzer begin with the warning, and the button silences the buzzer until the
 * severity changes. Begins as zeros. Ticks may come from an interrupt or another task.
 */
typedef struct whir_alarm {
    volatile uint8_t severity, silenced;
    volatile uint32_t shown; /* ticks to blink for, so that a person finds the board */
    uint32_t tick;
} whir_alarm_t;

void whir_alarm_set(whir_alarm_t *a, uint8_t severity);
void whir_alarm_show(whir_alarm_t *a, uint32_t seconds);
/* What is on until the next tick: WHIR_ALARM_… bits. `button`: it is pressed. */
uint8_t whir_alarm_tick(whir_alarm_t *a, int button);

#endif
