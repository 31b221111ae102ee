/*
 * The whole way from a sensor's samples to a verdict: condition, window, features, novelty, inference, permille. Set-up parses
 * the parameters and loads the model; a run is what one window costs, the samples of its hop included.
 */
#define WHIR_PORT_VERSION 2 /* the seam that this port was written for */

#include <string.h>

#include "bench.h"
#include "target.h"
#include "whir/whir.h"

#define ARENA_MAX 131072u
#define HEAD_BYTES 28u /* sensor and shaft speed, in front of the parameters; the baseline lies between */

#ifdef BENCH_PLANNED /* such an engine keeps nothing in its arena between runs: features are done with their scratch by then   \
                      */
#define ENGINE whir_nn_inference_planned
#define ARENA shared.arena
#define ARENA_SHARED 1
#else
#define ENGINE whir_nn_inference
#define ARENA own.arena
#define ARENA_SHARED 0
#endif

/* What a node keeps, but for arena and scratch. */
static struct {
    whir_nn_t nn;
    whir_inference_t engine;
    whir_model_info_t info;
    whir_params_t params;
    whir_condition_t condition;
    whir_window_t window;
    int16_t buffer[BENCH_WINDOW_VALUES];
    int32_t features[BENCH_FEATURES];
    int8_t input[BENCH_FEATURES];
    int8_t output[BENCH_CLASSES];
    uint16_t permille[BENCH_CLASSES];
    uint16_t novelty;
} state;
static union {
    int32_t scratch[BENCH_WINDOW_SAMPLES];
    uint8_t arena[ARENA_SHARED ? ARENA_MAX : 1];
} shared __attribute__((aligned(16)));
static struct {
    uint8_t arena[ARENA_SHARED ? 1 : ARENA_MAX];
} own __attribute__((aligned(16)));
static whir_envelope_t envelope; /* a node has it for every model; counted where the model wants one */
static const uint8_t *sample;    /* the sensor's next */
static uint32_t shaft_mhz;
static uint32_t sample_bytes;

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
    const uint8_t *tlv = from + HEAD_BYTES + BENCH_BASELINE * WHIR_NOVELTY_ENTRY_BYTES;
    int err = whir_params_parse(&state.params, tlv, (uint32_t)(bench_params_end - tlv));

    if (err == 0) {
        err = whir_condition_init(&state.condition, &state.params, &sensor, &envelope);
    }
    if (err == 0) {
        whir_window_init(&state.window, &state.params, state.buffer);
        ENGINE(&state.nn, &state.engine);
        err = state.engine.load(&state.engine, bench_model, (uint32_t)(bench_model_end - bench_model), ARENA, ARENA_MAX,
                                &state.info);
    }
    shaft_mhz = whir_le32(from + 24);
    sample = bench_input;
    sample_bytes = 2u * sensor.channels;
    facts->arena_bytes = state.info.arena_bytes;
    facts->input_bytes = state.info.input_bytes;
    facts->state_bytes = sizeof state + sizeof shared.scratch + (state.params.envelope_axes != 0 ? sizeof envelope : 0);
    if (ARENA_SHARED) { /* the arena counts once */
        facts->state_bytes -= state.info.arena_bytes < sizeof shared.scratch ? state.info.arena_bytes : sizeof shared.scratch;
    }
    return err;
}

/* Samples until a window is due. */
static int next_window(void)
{
    int16_t counts[WHIR_WINDOW_CHANNELS_MAX], conditioned[WHIR_WINDOW_CHANNELS_MAX];

    for (; sample < bench_input_end; sample += sample_bytes) {
        memcpy(counts, sample, sample_bytes);
        if (whir_condition_push(&state.condition, counts, conditioned) != 0 && whir_window_push(&state.window, conditioned)) {
            sample += sample_bytes;
            return 0;
        }
    }
    return WHIR_ERR_STATE;
}

uint32_t subject_vectors(void)
{
    return (uint32_t)(bench_output_end - bench_output) / (state.info.input_bytes + 3 * state.info.output_bytes + 2);
}

/* The first window, for which the filters fill, is not representative. */
void subject_feed(uint32_t i)
{
    if (i == 0) {
        next_window();
        whir_window_read(&state.window);
    }
}

int subject_run(uint32_t i)
{
    uint32_t start = target_clock(), conditioned, extracted;
    int err = next_window();

    (void)i;
    conditioned = target_clock();
    if (err < 0 || whir_window_read(&state.window) != 0) {
        return WHIR_ERR_STATE;
    }
    whir_features_extract(&state.params, state.buffer, shaft_mhz, shared.scratch, state.features);
    whir_features_quantize(&state.params, state.features, state.input);
    state.novelty = whir_novelty_distance(bench_params + HEAD_BYTES, BENCH_BASELINE, state.features);
    extracted = target_clock();
    err = state.engine.invoke(&state.engine, state.input, state.output);
    for (uint32_t c = 0; c < state.info.output_bytes; c++) {
        state.permille[c] = whir_permille(state.output[c], state.info.output_scale_bits, state.info.output_zero_point);
    }
    bench_ticks[BENCH_PART_CONDITION] = conditioned - start;
    bench_ticks[BENCH_PART_FEATURES] = extracted - conditioned;
    bench_ticks[BENCH_PART_INFER] = target_clock() - extracted;
    return err;
}

int subject_check(uint32_t i)
{
    uint32_t inputs = state.info.input_bytes, outputs = state.info.output_bytes;
    const uint8_t *expected = bench_output + i * (inputs + 3 * outputs + 2);

    return memcmp(state.input, expected, inputs) == 0 && memcmp(state.output, expected + inputs, outputs) == 0 &&
           memcmp(state.permille, expected + inputs + outputs, 2 * outputs) == 0 &&
           whir_le16(expected + inputs + 3 * outputs) == state.novelty;
}
