#include <stdint.h>

/* The small decisions of a board: pauses between connections, patterns of the local alarm. */
uint32_t host_backoff_ms(uint32_t attempts, uint32_t random);
uint8_t host_alarm_at(uint8_t severity, uint32_t tick, int silenced);
