#include "host_board.h"

#include "whir/alarm.h"
#include "whir/backoff.h"

uint32_t host_backoff_ms(uint32_t attempts, uint32_t random)
{
    return whir_backoff_ms(attempts, random);
}

uint8_t host_alarm_at(uint8_t severity, uint32_t tick, int silenced)
{
    return whir_alarm_at(severity, tick, silenced);
}
