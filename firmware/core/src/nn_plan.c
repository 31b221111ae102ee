#include <string.h>

#include "nn_layer.h"

#define UNPLACED UINT32_MAX

/* A tensor that lives in the arena: the model's input (0), or the output of operator i (i + 1). */
typedef struct value {
    uint32_t bytes;
    uint32_t at;     /* offset behind the records */
    uint16_t tensor; /* index in the model */
    uint8_t root;    /* the value whose memory this one shares (itself, unless it is only another shape of the root) */
    uint8_t first;   /* operators from which and up to which the memory is in use; set on roots */
    uint8_t last;
} value_t;

typedef struct plan {
    whir_nn_reader_t reader;
    uint32_t count;
    value_t values[WHIR_NN_LAYERS_MAX + 1];
} plan_t;

/* Makes operator `index` the one under way and fills `layer` from it. */
static int read_operator(whir_nn_reader_t *reader, uint32_t index, whir_nn_layer_t *layer, whir_nn_tensor_t *output,
                         const whir_nn_op_t **op)
{
    whir_nn_tensor_t input;
    int found, err = whir_nn_reader_select(reader, index);

    if (err < 0) {
        return err;
    }
    found = whir_nn_op_find(reader->code);
    if (found < 0) {
        return WHIR_ERR_NN_OP;
    }
    *op = whir_nn_op_at(found);
    if ((*op)->options != 0 && (*op)->options != reader->options_type) {
        return WHIR_ERR_NN_OPTION;
    }
    if ((err = whir_nn_tensor_activation(reader, whir_nn_reader_input(reader, 0), &input)) < 0 ||
        (err = whir_nn_tensor_activation(reader, reader->output, output)) < 0) {
        return err;
    }
    layer->op = (uint8_t)found;
    layer->bytes = (*op)->bytes;
    layer->input_zero_point = (int8_t)input.zero_point;
    layer->output_zero_point = (int8_t)output->zero_point;
    err = (*op)->read(reader, &input, output, layer);
    return whir_fb_is_bad(&reader->fb) ? WHIR_ERR_NN_SCHEMA : err;
}

/* The latest value with this tensor, or -1. */
static int find_value(const plan_t *plan, int32_t tensor)
{
    int i = (int)plan->count - 1;

    while (i >= 0 && plan->values[i].tensor != tensor) {
        i--;
    }
    return i;
}

/* Adds the value that comes into being at `time`: 0 is before the first operator, i + 1 is operator i. */
static int add_value(plan_t *plan, int32_t index, const whir_nn_tensor_t *tensor)
{
    value_t *value = &plan->values[plan->count];

    if (tensor->data != 0 || (plan->count == 0 && (tensor->rank == 0 || tensor->dims[0] != 1))) {
        return WHIR_ERR_NN_SHAPE; /* a constant, or more than one input at a time */
    }
    value->bytes = tensor->elements;
    value->at = UNPLACED;
    value->tensor = (uint16_t)index;
    value->root = value->first = value->last = (uint8_t)plan->count;
    plan->count++;
    return 0;
}

/* The operator under way uses its inputs and gives a value; the layer keeps which. */
static int connect(plan_t *plan, const whir_nn_op_t *op, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_reader_t *reader = &plan->reader;
    uint32_t root = 0;
    int err;

    for (uint32_t k = op->inputs; k-- != 0;) {
        int value = find_value(plan, whir_nn_reader_input(reader, k));

        if (value >= 0) {
            root = plan->values[value].root;
            plan->values[root].last = (uint8_t)plan->count;
            *(k == 0 ? &layer->input : &layer->as.add.second) = root;
        } else if (k == 0 || layer->as.add.second == 0) {
            whir_fb_fail(&reader->fb, reader->inputs.at + 4 * k);
            return WHIR_ERR_NN_SCHEMA; /* used before anything gives it */
        }
    }
    layer->output = plan->count;
    err = add_value(plan, reader->output, output);
    if (err == 0 && op->run == NULL) {
        plan->values[plan->count - 1].root = (uint8_t)root;
    }
    return err;
}

/* The lowest offset at which `value` overlaps nothing placed that is in use at the same time. */
static uint32_t lowest_offset(const plan_t *plan, const value_t *value)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < plan->count; i++) {
        const value_t *other = &plan->values[i];
        uint32_t other_end = other->at + other->bytes;

        if (other->at != UNPLACED && other->first <= value->last && other->last >= value->first && at < other_end &&
            other->at < at + value->bytes) {
            at = (other_end + 3) & ~3u;
            i = UINT32_MAX; /* look again from there */
        }
    }
    return at;
}

/* Lays the values over each other, the largest first, and returns the bytes needed. */
static uint32_t lay_out(plan_t *plan)
{
    uint32_t end = 0;

    for (;;) {
        value_t *largest = NULL;

        for (uint32_t i = 0; i < plan->count; i++) {
            value_t *value = &plan->values[i];

            if (value->root == i && value->at == UNPLACED && (largest == NULL || value->bytes > largest->bytes)) {
                largest = value;
            }
        }
        if (largest == NULL) {
            return (end + 3) & ~3u;
        }
        largest->at = lowest_offset(plan, largest);
        if (largest->at + largest->bytes > end) {
            end = largest->at + largest->bytes;
        }
    }
}

/* All operators in order. With an arena, their records are written to its start; returns the records' length. */
static int read_operators(whir_nn_t *nn, plan_t *plan, uint8_t *arena)
{
    const whir_nn_op_t *op = NULL;
    whir_nn_tensor_t output;
    whir_nn_layer_t layer;
    int err, bytes = 0;

    nn->layer_count = 0;
    for (uint32_t i = 0; i < plan->reader.operators.count; i++) {
        nn->error_at = i;
        if ((err = read_operator(&plan->reader, i, &layer, &output, &op)) < 0 ||
            (err = connect(plan, op, &output, &layer)) < 0) {
            return err;
        }
        if (op->run != NULL) {
            if (arena != NULL) {
                memcpy(arena + bytes, &layer, layer.bytes);
            }
            nn->layer_count++;
            bytes += layer.bytes;
        }
    }
    return bytes;
}

/* Puts offsets where the records still have values. */
static void place_layers(const whir_nn_t *nn, const plan_t *plan, uint8_t *arena, uint32_t values_at)
{
    for (uint32_t i = 0; i < nn->layer_count; i++) {
        whir_nn_layer_t *layer = (whir_nn_layer_t *)(void *)arena;
        uint32_t *second = &layer->as.add.second;

        layer->input = values_at + plan->values[layer->input].at;
        layer->output = values_at + plan->values[layer->output].at;
        if (whir_nn_op_at(layer->op)->inputs > 1 && (*second & WHIR_NN_IN_MODEL) == 0) {
            *second = values_at + plan->values[*second].at;
        }
        arena += layer->bytes;
    }
}

/* Reads the model and plans; with an arena, writes the records too. */
static int walk(whir_nn_t *nn, plan_t *plan, uint8_t *arena, whir_model_info_t *info)
{
    whir_nn_reader_t *reader = &plan->reader;
    whir_nn_tensor_t tensor;
    int err = whir_nn_reader_open(reader, nn->model, nn->model_bytes), records, value;

    if (err < 0) {
        return err;
    }
    if (reader->operators.count > WHIR_NN_LAYERS_MAX) {
        nn->error_at = reader->operators.count;
        return WHIR_ERR_SPACE;
    }
    plan->count = 0;
    if ((err = whir_nn_tensor_activation(reader, reader->graph_input, &tensor)) < 0 ||
        (err = add_value(plan, reader->graph_input, &tensor)) < 0) {
        return err;
    }
    info->input_scale_bits = whir_fb_u32(&reader->fb, tensor.scales.at);
    info->input_zero_point = tensor.zero_point;
    records = read_operators(nn, plan, arena);
    if (records < 0) {
        return records;
    }
    value = find_value(plan, reader->graph_output);
    if (value < 0 || whir_nn_tensor_activation(reader, reader->graph_output, &tensor) < 0) {
        whir_fb_fail(&reader->fb, 0);
        return WHIR_ERR_NN_SCHEMA;
    }
    info->output_scale_bits = whir_fb_u32(&reader->fb, tensor.scales.at);
    info->output_zero_point = tensor.zero_point;
    info->input_bytes = nn->input_bytes = plan->values[0].bytes;
    info->output_bytes = nn->output_bytes = plan->values[value].bytes;
    value = plan->values[value].root;
    plan->values[value].last = (uint8_t)plan->count;
    info->arena_bytes = nn->arena_bytes = (uint32_t)records + lay_out(plan);
    nn->input_at = (uint32_t)records + plan->values[0].at;
    nn->output_at = (uint32_t)records + plan->values[value].at;
    if (arena != NULL) {
        place_layers(nn, plan, arena, (uint32_t)records);
    }
    return 0;
}

int whir_nn_plan(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, whir_model_info_t *info)
{
    plan_t plan;
    int err;

    memset(nn, 0, sizeof *nn);
    memset(info, 0, sizeof *info);
    if (((uintptr_t)model & 3) != 0) {
        return WHIR_ERR_ARG;
    }
    nn->model = model;
    nn->model_bytes = model_bytes;
    err = walk(nn, &plan, NULL, info);
    if (err == WHIR_ERR_NN_SCHEMA) {
        nn->error_at = plan.reader.fb.bad_at;
    }
    if (err < 0) {
        nn->arena_bytes = 0; /* half a plan cannot be bound */
    }
    return err;
}

int whir_nn_bind(whir_nn_t *nn, uint8_t *arena, uint32_t arena_bytes)
{
    plan_t plan;
    whir_model_info_t info;
    int err;

    if (nn->arena_bytes == 0 || ((uintptr_t)arena & 15) != 0) {
        return WHIR_ERR_ARG;
    }
    if (arena_bytes < nn->arena_bytes) {
        return WHIR_ERR_NN_ARENA;
    }
    err = walk(nn, &plan, arena, &info);
    nn->arena = err == 0 ? arena : NULL;
    return err;
}
