/* The same use of the data and of the library, with nothing measured in between. */
#include <string.h>

#include "bench.h"

static uint8_t buffer[16];

int subject_setup(subject_facts_t *facts)
{
    facts->arena_bytes = (uint32_t)(bench_model_end - bench_model);
    facts->input_bytes = (uint32_t)(bench_params_end - bench_params);
    facts->state_bytes = sizeof buffer;
    return 0;
}

uint32_t subject_vectors(void)
{
    return (uint32_t)(bench_input_end - bench_input) / sizeof buffer;
}

void subject_feed(uint32_t i)
{
    memcpy(buffer, bench_input + i, i & 15);
}

int subject_run(uint32_t i)
{
    return (int)(i & 1);
}

int subject_check(uint32_t i)
{
    return memcmp(buffer, bench_output, i & 15) == 0;
}
