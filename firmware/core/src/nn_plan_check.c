#include <string.h>

#include "nn_layer.h"
#include "nn_planned.h"

/* A plan at the end of the model's file, made by whir_nn_write_plan or by anyone: nothing in it is believed. */

static bool header_is_valid(const whir_nn_planned_t *planned, uint32_t model_bytes)
{
    return planned->magic == WHIR_NN_PLANNED_MAGIC && planned->records_bytes <= model_bytes - sizeof *planned &&
           planned->tensor_bytes <= INT32_MAX && ((planned->records_bytes | planned->tensor_bytes) & 3) == 0 &&
           whir_nn_bounds_inside(planned->input_at, planned->input_bytes, planned->tensor_bytes) &&
           whir_nn_bounds_inside(planned->output_at, planned->output_bytes, planned->tensor_bytes);
}

/* The record that begins `rest` bytes before the end of all: its length, or 0. */
static uint32_t record_bytes(const whir_nn_bounds_t *bounds, const uint8_t *record, uint32_t rest)
{
    const whir_nn_layer_t *layer = (const whir_nn_layer_t *)(const void *)record;
    uint32_t bytes;

    if (rest < offsetof(whir_nn_layer_t, as) || layer->op >= whir_nn_op_count || whir_nn_ops[layer->op] == NULL) {
        return 0;
    }
    bytes = whir_nn_ops[layer->op]->bytes;
    return bytes <= rest && whir_nn_checkings[layer->op](bounds, layer) ? bytes : 0;
}

int whir_nn_load_planned(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                         whir_model_info_t *info)
{
    const whir_nn_planned_t *planned;
    const uint8_t *record, *end;
    whir_nn_bounds_t bounds;

    memset(nn, 0, sizeof *nn);
    memset(info, 0, sizeof *info);
    if (((uintptr_t)model & 3) != 0) {
        return WHIR_ERR_ARG;
    }
    if (model_bytes < sizeof *planned || model_bytes > INT32_MAX || (model_bytes & 3) != 0) {
        return WHIR_ERR_NN_PLAN;
    }
    end = model + model_bytes - sizeof *planned;
    planned = (const whir_nn_planned_t *)(const void *)end;
    if (!header_is_valid(planned, model_bytes)) {
        return WHIR_ERR_NN_PLAN;
    }
    bounds.model = nn->model = model;
    bounds.model_bytes = nn->model_bytes = model_bytes;
    bounds.tensor_bytes = planned->tensor_bytes;
    bounds.channels = planned->channels;
    record = end - planned->records_bytes;
    for (nn->error_at = 0; nn->error_at < planned->layer_count; nn->error_at++) {
        uint32_t bytes = record_bytes(&bounds, record, (uint32_t)(end - record));

        if (bytes == 0) {
            return WHIR_ERR_NN_PLAN;
        }
        record += bytes;
    }
    return record == end ? whir_nn_start(nn, planned, end - planned->records_bytes, arena, arena_bytes, info)
                         : WHIR_ERR_NN_PLAN;
}
