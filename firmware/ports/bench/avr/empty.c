/* The same use of the vectors and of the library, without the model. */
#include <avr/pgmspace.h>
#include <string.h>

#include "bench.h"

static uint8_t buffer[16];

int subject_setup(subject_facts_t *facts)
{
    facts->arena_bytes = sizeof buffer;
    facts->input_bytes = 0;
    facts->state_bytes = 0;
    return 0;
}

uint32_t subject_vectors(void)
{
    return (uint32_t)(bench_input_end - bench_input) / sizeof buffer;
}

void subject_feed(uint32_t i)
{
    memcpy_P(buffer, bench_input + (uint16_t)i, sizeof buffer);
}

int subject_run(uint32_t i)
{
    return (int)(i & 1);
}

int subject_check(uint32_t i)
{
    return memcmp_P(buffer, bench_output + (uint16_t)i, sizeof buffer) == 0;
}
