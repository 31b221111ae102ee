/* The engine alone: set-up is verify, plan and bind, or the check of a plan that came along; a run is one inference. */
#define WHIR_PORT_VERSION 2 /* the seam that this port was written for */

#include <string.h>

#include "bench.h"
#include "whir/whir.h"

#define ARENA_MAX 4194304u

#ifdef BENCH_PLANNED
#define LOAD whir_nn_load_planned
#else
#define LOAD whir_nn_load
#endif

static whir_nn_t nn;
static whir_model_info_t info;
static uint8_t arena[ARENA_MAX] __attribute__((aligned(16)));

int subject_setup(subject_facts_t *facts)
{
    int err = LOAD(&nn, bench_model, (uint32_t)(bench_model_end - bench_model), arena, ARENA_MAX, &info);

    facts->arena_bytes = info.arena_bytes;
    facts->input_bytes = info.input_bytes;
    facts->state_bytes = sizeof nn;
    return err;
}

uint32_t subject_vectors(void)
{
    return (uint32_t)(bench_input_end - bench_input) / info.input_bytes;
}

void subject_feed(uint32_t i)
{
    memcpy(whir_nn_input(&nn), bench_input + i * info.input_bytes, info.input_bytes);
}

int subject_run(uint32_t i)
{
    (void)i;
    return whir_nn_run(&nn);
}

int subject_check(uint32_t i)
{
    return memcmp(whir_nn_output(&nn), bench_output + i * info.output_bytes, info.output_bytes) == 0;
}
