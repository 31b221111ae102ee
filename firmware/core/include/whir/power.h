#ifndef WHIR_POWER_H
#define WHIR_POWER_H

#include <stdint.h>

#include "whir/contract.h"

/*
 * What is on when. `awake`: all. `listen`: the sensor, for a measurement. `tell`: the radio, for what has to be told and for
 * commands. `rest`: neither, until the next measurement. In mode continuous it is always awake.
 */
typedef enum { WHIR_POWER_AWAKE, WHIR_POWER_LISTEN, WHIR_POWER_TELL, WHIR_POWER_REST } whir_power_phase_t;

typedef struct whir_power {
    uint8_t mode; /* WHIR_POWER_MODE_… */
    uint8_t phase;
    uint32_t every_ms;
    uint64_t since_ms; /* of the phase */
    uint64_t next_ms;  /* the next measurement is due */
} whir_power_t;

/* What the node says of itself. */
typedef struct whir_power_need {
    uint8_t stay;     /* something is under way that no rest may interrupt */
    uint8_t measured; /* a verdict stands on this measurement */
    uint8_t untold;   /* messages wait, or commands may still come */
} whir_power_need_t;

/* every_ms below WHIR_POWER_EVERY_MIN_MS is that. */
void whir_power_init(whir_power_t *p, uint8_t mode, uint32_t every_ms, uint64_t now_ms);
/* The phase from now on. */
whir_power_phase_t whir_power_step(whir_power_t *p, const whir_power_need_t *need, uint64_t now_ms);
/* Within so long a message comes again, given its interval while awake. */
uint32_t whir_power_silence_ms(const whir_power_t *p, uint32_t interval_ms);

#endif
