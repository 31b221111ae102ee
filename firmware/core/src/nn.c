#include "whir/nn.h"

#include <stddef.h>
#include <string.h>

#include "nn_channels.h"
#include "nn_planned.h"

int8_t *whir_nn_input(whir_nn_t *nn)
{
    return (int8_t *)(nn->arena + nn->input_at);
}

const int8_t *whir_nn_output(const whir_nn_t *nn)
{
    return (const int8_t *)(nn->arena + nn->output_at);
}

int whir_nn_start(whir_nn_t *nn, const whir_nn_planned_t *planned, const uint8_t *records, uint8_t *arena, uint32_t arena_bytes,
                  whir_model_info_t *info)
{
    uint32_t before = records == arena ? planned->records_bytes : 0; /* in the arena, before the tensors */

#ifdef WHIR_NN_FAST
    before += planned->channels * (uint32_t)sizeof(whir_nn_channel_t);
#endif
    info->input_bytes = nn->input_bytes = planned->input_bytes;
    info->output_bytes = nn->output_bytes = planned->output_bytes;
    info->arena_bytes = nn->arena_bytes = before + planned->tensor_bytes;
    info->input_scale_bits = planned->input_scale_bits;
    info->input_zero_point = planned->input_zero_point;
    info->output_scale_bits = planned->output_scale_bits;
    info->output_zero_point = planned->output_zero_point;
    nn->input_at = planned->input_at;
    nn->output_at = planned->output_at;
    nn->layer_count = planned->layer_count;
    if (((uintptr_t)arena & 15) != 0) {
        return WHIR_ERR_ARG;
    }
    if (arena_bytes < nn->arena_bytes) {
        return WHIR_ERR_NN_ARENA;
    }
    nn->records = records;
    nn->arena = arena + before;
#ifdef WHIR_NN_FAST
    for (uint32_t i = 0; i < nn->layer_count; i++) {
        const whir_nn_layer_t *layer = (const whir_nn_layer_t *)(const void *)records;
        const whir_nn_op_t *op = whir_nn_ops[layer->op];

        if (op->fill != NULL) {
            op->fill(nn, layer);
        }
        records += op->bytes;
    }
#endif
    return 0;
}

int whir_nn_run(whir_nn_t *nn)
{
    const uint8_t *record = nn->records;

    if (record == NULL) {
        return WHIR_ERR_STATE;
    }
    for (uint32_t i = 0; i < nn->layer_count; i++) {
        const whir_nn_layer_t *layer = (const whir_nn_layer_t *)(const void *)record;
        const whir_nn_op_t *op = whir_nn_ops[layer->op];

        op->run(nn, layer);
        record += op->bytes;
    }
    return 0;
}

static int load(whir_inference_t *engine, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                whir_model_info_t *info)
{
    return whir_nn_load(engine->ctx, model, model_bytes, arena, arena_bytes, info);
}

static int load_planned(whir_inference_t *engine, const uint8_t *model, uint32_t model_bytes, uint8_t *arena,
                        uint32_t arena_bytes, whir_model_info_t *info)
{
    return whir_nn_load_planned(engine->ctx, model, model_bytes, arena, arena_bytes, info);
}

static int invoke(whir_inference_t *engine, const int8_t *input, int8_t *output)
{
    whir_nn_t *nn = engine->ctx;
    int err;

    if (nn->records == NULL) {
        return WHIR_ERR_STATE;
    }
    memcpy(whir_nn_input(nn), input, nn->input_bytes);
    err = whir_nn_run(nn);
    memcpy(output, whir_nn_output(nn), nn->output_bytes);
    return err;
}

static void put_behind(whir_nn_t *nn, whir_inference_t *engine)
{
    memset(nn, 0, sizeof *nn);
    engine->ctx = nn;
    engine->name = "whir_nn";
    engine->kernel_set = WHIR_KERNEL_SET_WHIR_NN;
    engine->invoke = invoke;
}

void whir_nn_inference(whir_nn_t *nn, whir_inference_t *engine)
{
    put_behind(nn, engine);
    engine->load = load;
}

void whir_nn_inference_planned(whir_nn_t *nn, whir_inference_t *engine)
{
    put_behind(nn, engine);
    engine->load = load_planned;
}
