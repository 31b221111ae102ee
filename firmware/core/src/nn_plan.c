#include <string.h>

#include "nn_layer.h"
#include "nn_places.h"
#include "nn_planned.h"

/* What is left out of its caller for flash: 80 bytes less at -Os on RV32. */
#ifdef __GNUC__
#define APART __attribute__((noinline))
#else
#define APART
#endif

typedef struct plan {
    whir_nn_reader_t reader;
    uint32_t count;
    whir_nn_tensor_t latest; /* the operator's output under way: mostly the next one's input */
    int32_t latest_index;
    whir_nn_value_t *values; /* one more than operators */
    whir_nn_planned_t *planned;
    uint8_t *records;
    uint32_t room;
    uint32_t *error_at;
} plan_t;

static APART int read_activation(plan_t *plan, int32_t index)
{
    int err = 0;

    if (index != plan->latest_index) {
        plan->latest_index = index;
        err = whir_nn_tensor_activation(&plan->reader, index, &plan->latest);
    }
    return err;
}

/* Makes operator `index` the one under way. */
static int select_operator(plan_t *plan, uint32_t index, whir_nn_layer_t *layer, const whir_nn_reading_t **op)
{
    whir_nn_reader_t *reader = &plan->reader;
    int found, err = whir_nn_reader_select(reader, index);

    if (err < 0) {
        return err;
    }
    found = whir_nn_op_find(reader->code);
    if (found < 0) {
        return WHIR_ERR_NN_OP;
    }
    *op = whir_nn_readings[found];
    layer->op = (uint8_t)found;
    return (*op)->options != 0 && (*op)->options != reader->options_type ? WHIR_ERR_NN_OPTION : 0;
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

/* The operator under way uses input `k` in the value that comes next; `place` is the layer's word for it. */
static int connect(plan_t *plan, const whir_nn_reading_t *op, uint32_t k, uint32_t *place)
{
    whir_nn_reader_t *reader = &plan->reader;
    int value = find_value(plan, whir_nn_reader_input(reader, k));

    if (value >= 0) {
        *place = plan->values[value].root;
        plan->values[*place].last = (uint8_t)plan->count;
    } else if ((*place & WHIR_NN_IN_MODEL) == 0 || (op->inputs & (2u | WHIR_NN_EACH_INPUT)) == 0) {
        whir_fb_fail(&reader->fb, reader->inputs.at + 4 * k);
        return WHIR_ERR_NN_SCHEMA; /* used before anything gives it, or a constant where none makes sense */
    }
    return 0;
}

/* Fills `layer` from the operator under way. */
static int read_layer(plan_t *plan, whir_nn_layer_t *layer, const whir_nn_reading_t *op)
{
    whir_nn_reader_t *reader = &plan->reader;
    whir_nn_tensor_t input;
    int err;

    if ((err = read_activation(plan, whir_nn_reader_input(reader, reader->part))) < 0) {
        return err;
    }
    input = plan->latest;
    if ((err = read_activation(plan, reader->output)) < 0) {
        return err;
    }
    layer->input = input.data != 0 ? input.data | WHIR_NN_IN_MODEL : 0;
    layer->input_zero_point = (int8_t)input.zero_point;
    layer->output_zero_point = (int8_t)plan->latest.zero_point;
    layer->output = plan->count;
    err = op->read(reader, &input, &plan->latest, layer);
    if (whir_fb_is_bad(&reader->fb)) {
        return WHIR_ERR_NN_SCHEMA;
    }
    if (err < 0 || (err = connect(plan, op, reader->part, &layer->input)) < 0 || (op->inputs & 2u) == 0) {
        return err;
    }
    return connect(plan, op, 1, &layer->as.pair.second);
}

/* Adds the value just read. It is in use from the operator on that gives it, and time is counted in values. */
static int add_value(plan_t *plan)
{
    const whir_nn_tensor_t *tensor = &plan->latest;
    whir_nn_value_t *value = &plan->values[plan->count];

    if (tensor->data != 0 || (plan->count == 0 && (tensor->rank == 0 || tensor->dims[0] != 1))) {
        return WHIR_ERR_NN_SHAPE; /* a constant, or more than one input at a time */
    }
    value->bytes = tensor->elements;
    value->tensor = (uint16_t)plan->latest_index;
    value->gap = WHIR_NN_SAME_PLACE;
    value->root = value->over = value->last = (uint8_t)plan->count;
    plan->count++;
    return 0;
}

/* Whose memory the value just added shares, or may. */
static void share(plan_t *plan, const whir_nn_reading_t *op, const whir_nn_layer_t *layer)
{
    whir_nn_value_t *value = &plan->values[plan->count - 1];
    uint32_t over = layer->input;

    if (whir_nn_ops[layer->op]->run == NULL) {
        value->root = (uint8_t)over;
    } else if ((op->inputs & WHIR_NN_SLIDES) != 0) {
        const whir_nn_window_t *win = &layer->as.window;
        uint32_t gap = ((uint32_t)win->pad_h * win->in_w + win->pad_w) * win->in_c; /* from what is written to what is read */

        if (win->in_c == win->out_c && gap < WHIR_NN_SAME_PLACE) {
            value->over = (uint8_t)over;
            value->gap = (uint16_t)gap;
        }
    } else if ((op->inputs & WHIR_NN_IN_PLACE) != 0) {
        if ((op->inputs & 2u) != 0 && ((over & WHIR_NN_IN_MODEL) != 0 || plan->values[over].bytes != value->bytes)) {
            over = layer->as.pair.second;
        }
        if ((over & WHIR_NN_IN_MODEL) == 0) {
            value->over = (uint8_t)over;
        }
    }
}

/* The record just read goes behind the others, as far as there is room. */
static void keep_record(plan_t *plan, const whir_nn_layer_t *layer)
{
    whir_nn_planned_t *planned = plan->planned;
    uint32_t at = planned->records_bytes, bytes = whir_nn_ops[layer->op]->bytes;

    if (bytes != 0) {
        if (at + bytes <= plan->room) {
            memcpy(plan->records + at, layer, bytes);
        }
        planned->records_bytes = at + bytes;
        planned->layer_count++;
    }
}

static int read_operators(plan_t *plan)
{
    const whir_nn_reading_t *op = NULL;
    whir_nn_layer_t layer;
    uint32_t parts;
    int err;

    memset(&layer, 0, sizeof layer); /* so that what a record does not use is the same in every plan of the model */
    for (uint32_t i = 0; i < plan->reader.operators.count; i++) {
        *plan->error_at = i;
        if ((err = select_operator(plan, i, &layer, &op)) < 0) {
            return err;
        }
        parts = (op->inputs & WHIR_NN_EACH_INPUT) != 0 ? plan->reader.inputs.count : 1;
        do {
            if ((err = read_layer(plan, &layer, op)) < 0) {
                return err;
            }
            keep_record(plan, &layer);
        } while (++plan->reader.part < parts);
        if ((err = add_value(plan)) < 0) {
            return err;
        }
        share(plan, op, &layer);
    }
    return 0;
}

static void place(const plan_t *plan, uint32_t *value)
{
    if ((*value & WHIR_NN_IN_MODEL) == 0) {
        *value = plan->values[*value].at;
    }
}

/* Puts offsets where the records still have values. */
static void place_layers(const plan_t *plan)
{
    uint8_t *record = plan->records;

    for (uint32_t i = 0; i < plan->planned->layer_count; i++) {
        whir_nn_layer_t *layer = (whir_nn_layer_t *)(void *)record;

        place(plan, &layer->input);
        place(plan, &layer->output);
        if ((whir_nn_readings[layer->op]->inputs & 2u) != 0) {
            place(plan, &layer->as.pair.second);
        }
        record += whir_nn_ops[layer->op]->bytes;
    }
}

/* Plans the model opened in plan->reader. */
static APART int walk(plan_t *plan)
{
    whir_nn_reader_t *reader = &plan->reader;
    whir_nn_planned_t *planned = plan->planned;
    whir_nn_value_t values[reader->operators.count + 1]; /* no longer than the model needs */
    int err, value;

    plan->values = values;
    plan->count = 0;
    plan->latest_index = -1;
    if ((err = whir_nn_tensor_activation(reader, reader->graph_input, &plan->latest)) < 0) {
        return err;
    }
    plan->latest_index = reader->graph_input;
    if ((err = add_value(plan)) < 0) {
        return err;
    }
    planned->input_scale_bits = whir_fb_u32(&reader->fb, plan->latest.scales.at);
    planned->input_zero_point = (int8_t)plan->latest.zero_point;
    if ((err = read_operators(plan)) < 0) {
        return err;
    }
    value = find_value(plan, reader->graph_output);
    if (value < 0 || read_activation(plan, reader->graph_output) < 0) {
        whir_fb_fail(&reader->fb, 0);
        return WHIR_ERR_NN_SCHEMA;
    }
    planned->output_scale_bits = whir_fb_u32(&reader->fb, plan->latest.scales.at);
    planned->output_zero_point = (int8_t)plan->latest.zero_point;
    planned->input_bytes = values[0].bytes;
    planned->output_bytes = values[value].bytes;
    planned->channels = (uint16_t)reader->channels;
    value = values[value].root;
    values[value].last = (uint8_t)plan->count;
    planned->tensor_bytes = whir_nn_place_values(values, plan->count);
    planned->input_at = values[0].at;
    planned->output_at = values[value].at;
    if (planned->records_bytes <= plan->room) {
        place_layers(plan);
    }
    return 0;
}

int whir_nn_lay(whir_nn_planned_t *planned, uint8_t *records, uint32_t room, const uint8_t *model, uint32_t model_bytes,
                uint32_t *error_at)
{
    plan_t plan;
    int err;

    memset(planned, 0, sizeof *planned);
    if (((uintptr_t)model & 3) != 0) {
        return WHIR_ERR_ARG;
    }
    plan.planned = planned;
    plan.records = records;
    plan.room = room;
    plan.error_at = error_at;
    err = whir_nn_reader_open(&plan.reader, model, model_bytes);
    if (err == 0 && plan.reader.operators.count > WHIR_NN_LAYERS_MAX) {
        *error_at = plan.reader.operators.count;
        err = WHIR_ERR_SPACE;
    }
    if (err == 0) {
        err = walk(&plan);
    }
    if (err == WHIR_ERR_NN_SCHEMA) {
        *error_at = plan.reader.fb.bad_at;
    }
    return err;
}
