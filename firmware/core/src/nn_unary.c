#include "nn_fixed.h"
#include "nn_layer.h"

/* Requantization, ReLU, ReLU6 and the logistic function, where they are operators of their own. */

#define LOGISTIC_INTEGER_BITS 4

static int read_count(const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    layer->as.unary.count = input->elements;
    return input->elements == output->elements ? 0 : WHIR_ERR_NN_SHAPE;
}

static int read_quantize(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                         whir_nn_layer_t *layer)
{
    whir_nn_factor_t factor;

    (void)reader;
    if (!whir_nn_factor(input->scale, WHIR_NN_ONE, output->scale, &factor)) {
        return WHIR_ERR_NN_QUANT;
    }
    layer->as.unary.multiplier = factor.multiplier;
    layer->as.unary.shift = factor.shift;
    layer->low = -128;
    layer->high = 127;
    return read_count(input, output, layer);
}

static int read_relu(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                     whir_nn_layer_t *layer)
{
    int err = read_quantize(reader, input, output, layer);

    layer->low = layer->output_zero_point;
    return err;
}

bool whir_nn_check_relu6(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    uint32_t count = whir_nn_bounds_product(layer->as.unary.count, 1, 1);

    return whir_nn_bounds_layer(bounds, layer, count, count);
}

bool whir_nn_check_quantize(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return whir_nn_check_relu6(bounds, layer) && whir_nn_shift_is_valid(layer->as.unary.shift);
}

bool whir_nn_check_relu(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return whir_nn_check_quantize(bounds, layer);
}

static void run_rescale(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_unary_t *unary = &layer->as.unary;
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    for (uint32_t i = 0; i < unary->count; i++) {
        int32_t scaled = whir_nn_scale(in[i] - layer->input_zero_point, unary->multiplier, unary->shift);

        out[i] = whir_nn_clamp(whir_nn_add(scaled, layer->output_zero_point), layer->low, layer->high);
    }
}

static int read_relu6(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                      whir_nn_layer_t *layer)
{
    enum { RELU6 = 3 };
    int err = whir_nn_layer_set_activation(RELU6, input, layer);

    (void)reader;
    return err < 0 ? err : read_count(input, output, layer);
}

/* TFLM clamps in the input's units and does not rescale. */
static void run_relu6(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    for (uint32_t i = 0; i < layer->as.unary.count; i++) {
        out[i] = whir_nn_clamp(in[i], layer->low, layer->high);
    }
}

static int read_logistic(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                         whir_nn_layer_t *layer)
{
    whir_nn_unary_t *unary = &layer->as.unary;
    whir_nn_real_t steepness = input->scale;
    whir_nn_factor_t factor;

    (void)reader;
    if (layer->output_zero_point != -128) {
        return WHIR_ERR_NN_QUANT;
    }
    steepness.exponent += 31 - LOGISTIC_INTEGER_BITS;
    if (!whir_nn_factor(steepness, WHIR_NN_ONE, WHIR_NN_ONE, &factor)) {
        factor.multiplier = 0; /* so steep that there is nothing between 0 and 1 */
        factor.shift = 31;
    }
    if (factor.shift < 0) {
        return WHIR_ERR_NN_QUANT;
    }
    unary->multiplier = factor.multiplier;
    unary->shift = factor.shift;
    return read_count(input, output, layer);
}

bool whir_nn_check_logistic(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return whir_nn_check_relu6(bounds, layer) && (uint32_t)layer->as.unary.shift <= 31 && layer->as.unary.multiplier >= 0;
}

static int8_t logistic(const whir_nn_unary_t *unary, int32_t radius, int32_t x)
{
    int32_t scaled, y;

    if (x <= -radius || x >= radius) {
        return x <= -radius ? -128 : 127;
    }
    scaled = whir_nn_scale(x, unary->multiplier, unary->shift);
    if (scaled == 0) {
        y = INT32_C(1) << 30;
    } else {
        y = whir_nn_one_over_one_plus(whir_nn_exp_negative(scaled > 0 ? -scaled : scaled, LOGISTIC_INTEGER_BITS));
        y = scaled > 0 ? y : INT32_MAX - y;
    }
    return whir_nn_clamp(whir_nn_shift_right(y, 31 - 8) - 128, -128, 127);
}

static void run_logistic(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_unary_t *unary = &layer->as.unary;
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    int32_t radius = (INT32_C(15) << (31 - LOGISTIC_INTEGER_BITS)) >> unary->shift; /* from there on it is 0 or 1 */

    for (uint32_t i = 0; i < unary->count; i++) {
        out[i] = logistic(unary, radius, in[i] - layer->input_zero_point);
    }
}

const whir_nn_reading_t whir_nn_reading_relu = {19, 0, 1 | WHIR_NN_IN_PLACE, read_relu};
const whir_nn_reading_t whir_nn_reading_relu6 = {21, 0, 1 | WHIR_NN_IN_PLACE, read_relu6};
const whir_nn_reading_t whir_nn_reading_logistic = {14, 0, 1 | WHIR_NN_IN_PLACE, read_logistic};
const whir_nn_reading_t whir_nn_reading_quantize = {114, 0, 1 | WHIR_NN_IN_PLACE, read_quantize};

const whir_nn_op_t whir_nn_op_relu = {WHIR_NN_LAYER_BYTES(unary), run_rescale, NULL};
const whir_nn_op_t whir_nn_op_relu6 = {WHIR_NN_LAYER_BYTES(unary), run_relu6, NULL};
const whir_nn_op_t whir_nn_op_logistic = {WHIR_NN_LAYER_BYTES(unary), run_logistic, NULL};
const whir_nn_op_t whir_nn_op_quantize = {WHIR_NN_LAYER_BYTES(unary), run_rescale, NULL};
