#include <string.h>

#include "nn_layer.h"

/* BuiltinOptions_ConcatenationOptions */
#define OPTIONS 10

enum { OPTION_AXIS = 0, OPTION_ACTIVATION = 1 };

/* Like TFLM, only for inputs with the output's scale and zero point: converters put a QUANTIZE before the others. */
static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_concat_t *concat = &layer->as.concat;
    int32_t axis = (int32_t)whir_fb_get_u32(&reader->fb, reader->options, OPTION_AXIS, 0);

    axis += axis < 0 ? output->rank : 0;
    if (axis < 0 || axis >= output->rank || whir_fb_get_u8(&reader->fb, reader->options, OPTION_ACTIVATION) != 0) {
        return WHIR_ERR_NN_OPTION;
    }
    if (input->rank != output->rank) {
        return WHIR_ERR_NN_SHAPE;
    }
    if (!whir_nn_tensor_is_like(input, output)) {
        return WHIR_ERR_NN_QUANT;
    }
    concat->offset = reader->part == 0 ? 0 : concat->offset + concat->piece;
    concat->rows = 1;
    for (int32_t i = 0; i < input->rank; i++) {
        if (i != axis && input->dims[i] != output->dims[i]) {
            return WHIR_ERR_NN_SHAPE;
        }
        concat->rows *= i < axis ? input->dims[i] : 1u;
    }
    concat->piece = input->elements / concat->rows;
    concat->step = output->elements / concat->rows;
    if (concat->piece > concat->step - concat->offset ||
        (reader->part + 1 == reader->inputs.count && concat->piece != concat->step - concat->offset)) {
        return WHIR_ERR_NN_SHAPE;
    }
    return 0;
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_concat_t *concat = &layer->as.concat;
    const int8_t *in = whir_nn_input_at(nn, layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output) + concat->offset;

    for (uint32_t i = 0; i < concat->rows; i++, in += concat->piece, out += concat->step) {
        memcpy(out, in, concat->piece);
    }
}

bool whir_nn_check_concatenation(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const whir_nn_concat_t *concat = &layer->as.concat;
    uint32_t in = whir_nn_bounds_product(concat->rows, concat->piece, 1);
    uint32_t out = whir_nn_bounds_product(concat->rows, concat->step, 1);

    return whir_nn_bounds_input(bounds, layer->input, in) && whir_nn_bounds_inside(layer->output, out, bounds->tensor_bytes) &&
           whir_nn_bounds_apart(layer, in, out) && whir_nn_bounds_inside(concat->offset, concat->piece, concat->step);
}

const whir_nn_reading_t whir_nn_reading_concatenation = {2, OPTIONS, 1 | WHIR_NN_EACH_INPUT, read};
const whir_nn_op_t whir_nn_op_concatenation = {WHIR_NN_LAYER_BYTES(concat), run, NULL};
