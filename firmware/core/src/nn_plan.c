#include <stddef.h>
#include <string.h>

#include "nn_layer.h"

#define UNPLACED UINT32_MAX

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
        (err = whir_nn_tensor_activation(reader, whir_nn_reader_output(reader), output)) < 0) {
        return err;
    }
    memset(layer, 0, sizeof *layer);
    layer->op = (uint8_t)found;
    layer->input_zero_point = (int8_t)input.zero_point;
    layer->output_zero_point = (int8_t)output->zero_point;
    err = (*op)->read(reader, &input, output, layer);
    return reader->fb.bad ? WHIR_ERR_NN_SCHEMA : err;
}

/* The latest of the first `count` values with this tensor, or -1. */
static int find_value(const whir_nn_t *nn, uint32_t count, int32_t tensor)
{
    for (int i = (int)count - 1; i >= 0; i--) {
        if (nn->values[i].tensor == tensor) {
            return i;
        }
    }
    return -1;
}

/* Adds the value that comes into being at `time`: 0 is before the first operator, i + 1 is operator i. */
static int add_value(whir_nn_t *nn, int32_t index, const whir_nn_tensor_t *tensor, uint32_t time)
{
    whir_nn_value_t *value = &nn->values[nn->value_count];

    if (tensor->data != 0 || (time == 0 && (tensor->rank == 0 || tensor->dims[0] != 1))) {
        return WHIR_ERR_NN_SHAPE; /* a constant, or more than one input at a time */
    }
    value->bytes = tensor->elements;
    value->at = UNPLACED;
    value->tensor = (uint16_t)index;
    value->root = nn->value_count;
    value->first = (uint8_t)time;
    value->last = (uint8_t)time;
    nn->value_count++;
    return 0;
}

/* The operator under way uses its inputs at `time`, and gives a value. */
static int connect(whir_nn_t *nn, whir_nn_reader_t *reader, const whir_nn_op_t *op, const whir_nn_tensor_t *output,
                   uint32_t time)
{
    whir_nn_tensor_t constant;
    int err, value = -1;

    for (uint32_t k = 0; k < op->inputs; k++) {
        int32_t index = whir_nn_reader_input(reader, k);

        value = find_value(nn, nn->value_count, index);
        if (value >= 0) {
            nn->values[nn->values[value].root].last = (uint8_t)time;
        } else if (k == 0 || whir_nn_tensor_constant(reader, index, WHIR_NN_TYPE_INT8, &constant) < 0) {
            whir_fb_fail(&reader->fb, reader->inputs.at + 4 * k);
            return WHIR_ERR_NN_SCHEMA; /* used before anything gives it */
        }
    }
    err = add_value(nn, whir_nn_reader_output(reader), output, time);
    if (err == 0 && op->run == NULL) {
        nn->values[nn->value_count - 1].root = nn->values[value].root;
    }
    return err;
}

/* The lowest offset at which `value` overlaps nothing placed that is in use at the same time. */
static uint32_t lowest_offset(const whir_nn_t *nn, const whir_nn_value_t *value)
{
    uint32_t at = 0;

    for (int i = 0; i < nn->value_count; i++) {
        const whir_nn_value_t *other = &nn->values[i];
        uint32_t other_end = other->at + other->bytes;

        if (other->at != UNPLACED && other->first <= value->last && other->last >= value->first && at < other_end &&
            other->at < at + value->bytes) {
            at = (other_end + 3) & ~3u;
            i = -1; /* look again from there */
        }
    }
    return at;
}

/* Lays the values over each other, the largest first, and returns the bytes needed. */
static uint32_t lay_out(whir_nn_t *nn)
{
    uint32_t end = 0;

    for (;;) {
        whir_nn_value_t *largest = NULL;

        for (int i = 0; i < nn->value_count; i++) {
            whir_nn_value_t *value = &nn->values[i];

            if (value->root == i && value->at == UNPLACED && (largest == NULL || value->bytes > largest->bytes)) {
                largest = value;
            }
        }
        if (largest == NULL) {
            return (end + 3) & ~3u;
        }
        largest->at = lowest_offset(nn, largest);
        if (largest->at + largest->bytes > end) {
            end = largest->at + largest->bytes;
        }
    }
}

/* All operators in order; *tables is the size of all channel tables. */
static int plan_operators(whir_nn_t *nn, whir_nn_reader_t *reader, uint32_t *tables)
{
    const whir_nn_op_t *op = NULL;
    whir_nn_tensor_t output;
    whir_nn_layer_t layer;
    int err = 0;

    for (uint32_t i = 0; i < reader->operators.count && err == 0; i++) {
        nn->error_at = i;
        err = read_operator(reader, i, &layer, &output, &op);
        if (err == 0) {
            err = connect(nn, reader, op, &output, i + 1);
        }
        if (err == 0 && op->run != NULL) {
            nn->layer_count++;
            *tables += reader->table_bytes;
        }
    }
    return err;
}

/* Where each value lies, behind the records and the channel tables. */
static void place_values(whir_nn_t *nn, uint32_t tables)
{
    uint32_t values_at;

    nn->tables_at = nn->layer_count * (uint32_t)sizeof(whir_nn_layer_t);
    values_at = nn->tables_at + tables;
    nn->arena_bytes = values_at + lay_out(nn);
    for (int i = 0; i < nn->value_count; i++) { /* a root stands before the values that share its memory */
        nn->values[i].at = nn->values[i].root == i ? nn->values[i].at + values_at : nn->values[nn->values[i].root].at;
    }
}

static int plan(whir_nn_t *nn, whir_nn_reader_t *reader, whir_model_info_t *info)
{
    int32_t input = (int32_t)whir_fb_u32(&reader->fb, reader->graph_inputs.at);
    int32_t output = (int32_t)whir_fb_u32(&reader->fb, reader->graph_outputs.at);
    uint32_t tables = 0;
    whir_nn_tensor_t tensor;
    int err, value;

    if (reader->operators.count > WHIR_NN_LAYERS_MAX) {
        nn->error_at = reader->operators.count;
        return WHIR_ERR_SPACE;
    }
    if ((err = whir_nn_tensor_activation(reader, input, &tensor)) < 0 || (err = add_value(nn, input, &tensor, 0)) < 0) {
        return err;
    }
    info->input_scale_bits = whir_fb_u32(&reader->fb, tensor.scales.at);
    info->input_zero_point = tensor.zero_point;
    if ((err = plan_operators(nn, reader, &tables)) < 0) {
        return err;
    }
    value = find_value(nn, nn->value_count, output);
    if (value < 0 || whir_nn_tensor_activation(reader, output, &tensor) < 0) {
        whir_fb_fail(&reader->fb, reader->graph_outputs.at);
        return WHIR_ERR_NN_SCHEMA;
    }
    info->output_scale_bits = whir_fb_u32(&reader->fb, tensor.scales.at);
    info->output_zero_point = tensor.zero_point;
    nn->output = (uint8_t)value;
    nn->values[nn->values[value].root].last = (uint8_t)(reader->operators.count + 1);
    place_values(nn, tables);
    info->input_bytes = nn->values[0].bytes;
    info->output_bytes = nn->values[value].bytes;
    info->arena_bytes = nn->arena_bytes;
    return 0;
}

int whir_nn_plan(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, whir_model_info_t *info)
{
    whir_nn_reader_t reader;
    int err;

    memset(nn, 0, sizeof *nn);
    memset(info, 0, sizeof *info);
    nn->model = model;
    nn->model_bytes = model_bytes;
    err = whir_nn_reader_open(&reader, model, model_bytes);
    if (err == 0) {
        err = plan(nn, &reader, info);
    }
    if (err == WHIR_ERR_NN_SCHEMA) {
        nn->error_at = reader.fb.bad_at;
    }
    if (err < 0) {
        nn->value_count = 0; /* half a plan cannot be bound */
    }
    return err;
}

/* The layer's place in the arena: operator i gives values[i + 1]. */
static int place_layer(const whir_nn_t *nn, whir_nn_reader_t *reader, const whir_nn_op_t *op, uint32_t i,
                       whir_nn_layer_t *layer)
{
    whir_nn_tensor_t constant;
    int32_t tensor = whir_nn_reader_input(reader, 1);
    int err = 0, value = find_value(nn, i + 1, whir_nn_reader_input(reader, 0));

    layer->input = nn->values[value].at;
    layer->output = nn->values[i + 1].at;
    if (op->inputs > 1) {
        value = find_value(nn, i + 1, tensor);
        if (value >= 0) {
            layer->second = nn->values[value].at;
        } else {
            err = whir_nn_tensor_constant(reader, tensor, WHIR_NN_TYPE_INT8, &constant);
            layer->second = constant.data | WHIR_NN_IN_MODEL;
        }
    }
    return err;
}

int whir_nn_bind(whir_nn_t *nn, uint8_t *arena, uint32_t arena_bytes)
{
    whir_nn_layer_t layer, *record = (whir_nn_layer_t *)(void *)arena;
    const whir_nn_op_t *op = NULL;
    whir_nn_tensor_t output;
    whir_nn_reader_t reader;
    uint32_t table = nn->tables_at;
    int err;

    if (nn->value_count == 0 || ((uintptr_t)arena & 15) != 0) {
        return WHIR_ERR_ARG;
    }
    if (arena_bytes < nn->arena_bytes) {
        return WHIR_ERR_NN_ARENA;
    }
    err = whir_nn_reader_open(&reader, nn->model, nn->model_bytes);
    for (uint32_t i = 0; err == 0 && i < reader.operators.count; i++) {
        nn->error_at = i;
        reader.table = arena + table;
        err = read_operator(&reader, i, &layer, &output, &op);
        if (err == 0 && op->run != NULL) {
            layer.table = table;
            table += reader.table_bytes;
            err = place_layer(nn, &reader, op, i, &layer);
            *record++ = layer;
        }
    }
    nn->arena = err == 0 ? arena : NULL;
    return err;
}
