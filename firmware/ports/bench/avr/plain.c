/* A model as plain C (`whir export --c`, here under the name "model") in flash; the vectors are in flash too. */
#include <avr/pgmspace.h>
#include <string.h>

#include "bench.h"
#include "model.h"

static int8_t input[MODEL_INPUT_BYTES], output[MODEL_OUTPUT_BYTES], work[MODEL_WORK_BYTES];

int subject_setup(subject_facts_t *facts)
{
    facts->arena_bytes = sizeof work + sizeof input + sizeof output;
    facts->input_bytes = sizeof input;
    facts->state_bytes = 0;
    return 0;
}

uint32_t subject_vectors(void)
{
    return (uint32_t)(bench_input_end - bench_input) / sizeof input;
}

void subject_feed(uint32_t i)
{
    memcpy_P(input, bench_input + (uint16_t)i * sizeof input, sizeof input);
}

int subject_run(uint32_t i)
{
    (void)i;
    model_run(input, output, work);
    return 0;
}

int subject_check(uint32_t i)
{
    return memcmp_P(output, bench_output + (uint16_t)i * sizeof output, sizeof output) == 0;
}
