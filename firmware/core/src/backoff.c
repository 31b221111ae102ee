#include "whir/backoff.h"

#define FIRST_MS 1000u
#define LAST_MS 300000u

uint32_t whir_backoff_ms(uint32_t attempts, uint32_t random)
{
    uint32_t pause_ms = FIRST_MS;

    while (attempts > 1 && pause_ms < LAST_MS) {
        pause_ms *= 2;
        attempts--;
    }
    pause_ms = pause_ms < LAST_MS ? pause_ms : LAST_MS;
    return pause_ms / 2 + random % pause_ms;
}
