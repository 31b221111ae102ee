/*
 * Conditioning alone, from a sensor's samples at its full rate to the bundle's: what each sample costs. A run takes
 * BENCH_SAMPLES samples; what comes out of all runs is compared.
 */
#define WHIR_PORT_VERSION 2 /* the seam that this port was written for */

#include <string.h>

#include "bench.h"
#include "whir/whir.h"

#define HEAD_BYTES 28u /* sensor and shaft speed, in front of the parameters */

static struct {
    whir_params_t params;
    whir_condition_t condition;
} state;
static int16_t in[BENCH_SAMPLES][3], out[BENCH_SAMPLES][3];
static uint32_t made, compared; /* samples out of the last run, and of those before it */

int subject_setup(subject_facts_t *facts)
{
    const uint8_t *from = bench_params;
    whir_sensor_info_t sensor = {"bench",
                                 whir_le32(from),
                                 whir_le32(from + 4),
                                 whir_le32(from + 8),
                                 whir_le32(from + 12),
                                 whir_le32(from + 16),
                                 from[20],
                                 from[21],
                                 0};
    int err = whir_params_parse(&state.params, from + HEAD_BYTES, (uint32_t)(bench_params_end - from) - HEAD_BYTES);

    facts->arena_bytes = 0;
    facts->input_bytes = sizeof in[0];
    facts->state_bytes = sizeof state;
    return err == 0 ? whir_condition_init(&state.condition, &state.params, &sensor, NULL) : err;
}

uint32_t subject_vectors(void)
{
    return (uint32_t)(bench_input_end - bench_input) / sizeof in;
}

void subject_feed(uint32_t i)
{
    memcpy(in, bench_input + i * sizeof in, sizeof in);
}

int subject_run(uint32_t i)
{
    (void)i;
    made = 0;
    for (uint32_t n = 0; n < BENCH_SAMPLES; n++) {
        made += whir_condition_push(&state.condition, in[n], out[made]) != 0;
    }
    return 0;
}

int subject_check(uint32_t i)
{
    const uint8_t *expected = bench_output + compared * sizeof out[0];

    (void)i;
    compared += made;
    return memcmp(out, expected, made * sizeof out[0]) == 0;
}
