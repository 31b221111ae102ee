#include "target.h"

#include <avr/io.h>

/* Registers for the program's own use, which simulator.c watches: exit, output, and the cycle counter. */
void target_put(char c)
{
    GPIOR1 = (uint8_t)c;
}

void target_exit(void)
{
    GPIOR0 = 0;
    for (;;) {
    }
}

/* Reading the low byte latches the simulator's count of cycles; 24 bits last for a second. */
uint32_t target_clock(void)
{
    uint8_t low = GPIOR0, mid = GPIOR1, high = GPIOR2;

    return (uint32_t)high << 16 | (uint32_t)mid << 8 | low;
}

/* Cycles, not instructions. */
uint32_t target_instructions(uint32_t ticks)
{
    return ticks & 0xFFFFFF;
}
