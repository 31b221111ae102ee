#ifndef WHIR_BACKOFF_H
#define WHIR_BACKOFF_H

#include <stdint.h>

/* Pause before the next attempt, in ms: doubles from 1 s to 5 min, from half to one and a half of it by `random`, so that a
 * plant's nodes do not come back all at once. `attempts` is how many have failed in a row, from 1. */
uint32_t whir_backoff_ms(uint32_t attempts, uint32_t random);

#endif
