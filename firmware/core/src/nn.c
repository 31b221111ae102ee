#include "whir/nn.h"

#include <stddef.h>
#include <string.h>

#include "nn_layer.h"

int8_t *whir_nn_input(whir_nn_t *nn)
{
    return (int8_t *)(nn->arena + nn->input_at);
}

const int8_t *whir_nn_output(const whir_nn_t *nn)
{
    return (const int8_t *)(nn->arena + nn->output_at);
}

int whir_nn_run(whir_nn_t *nn)
{
    const uint8_t *record = nn->arena;

    if (record == NULL) {
        return WHIR_ERR_STATE;
    }
    for (uint32_t i = 0; i < nn->layer_count; i++) {
        const whir_nn_layer_t *layer = (const whir_nn_layer_t *)(const void *)record;

        whir_nn_ops[layer->op]->run(nn, layer);
        record += layer->bytes;
    }
    return 0;
}

static int load(whir_inference_t *engine, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                whir_model_info_t *info)
{
    return whir_nn_load(engine->ctx, model, model_bytes, arena, arena_bytes, info);
}

static int invoke(whir_inference_t *engine, const int8_t *input, int8_t *output)
{
    whir_nn_t *nn = engine->ctx;
    int err;

    if (nn->arena == NULL) {
        return WHIR_ERR_STATE;
    }
    memcpy(whir_nn_input(nn), input, nn->input_bytes);
    err = whir_nn_run(nn);
    memcpy(output, whir_nn_output(nn), nn->output_bytes);
    return err;
}

void whir_nn_inference(whir_nn_t *nn, whir_inference_t *engine)
{
    memset(nn, 0, sizeof *nn);
    engine->ctx = nn;
    engine->name = "whir_nn";
    engine->kernel_set = WHIR_KERNEL_SET_WHIR_NN;
    engine->load = load;
    engine->invoke = invoke;
}
