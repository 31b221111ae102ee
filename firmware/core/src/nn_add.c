#include "nn_fixed.h"
#include "nn_layer.h"

/* BuiltinOptions_AddOptions */
#define OPTIONS 11
/* Both inputs are shifted left before they are brought to a common scale. */
#define LEFT_SHIFT 20

enum { OPTION_ACTIVATION = 0 };

static int keep_factor(whir_nn_add_t *add, uint32_t i, whir_nn_real_t a, whir_nn_real_t b)
{
    whir_nn_factor_t factor;

    if (!whir_nn_factor(a, WHIR_NN_ONE, b, &factor) || factor.shift > 0) {
        return WHIR_ERR_NN_QUANT; /* TFLM wants factors below 1 */
    }
    add->multiplier[i] = factor.multiplier;
    add->shift[i] = (int8_t)factor.shift;
    return 0;
}

static int larger(whir_nn_real_t a, whir_nn_real_t b)
{
    return a.exponent > b.exponent || (a.exponent == b.exponent && a.mantissa > b.mantissa);
}

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_add_t *add = &layer->as.add;
    whir_nn_real_t twice_largest, shifted = output->scale;
    whir_nn_tensor_t second;
    int err = whir_nn_tensor_activation(reader, whir_nn_reader_input(reader, 1), &second);

    if (err < 0) {
        return err;
    }
    if (input->rank != second.rank || input->elements != output->elements) {
        return WHIR_ERR_NN_SHAPE;
    }
    for (uint32_t i = 0; i < input->rank; i++) {
        if (input->dims[i] != second.dims[i]) {
            return WHIR_ERR_NN_SHAPE; /* no broadcasting */
        }
    }
    twice_largest = larger(input->scale, second.scale) ? input->scale : second.scale;
    twice_largest.exponent++;
    shifted.exponent += LEFT_SHIFT;
    if ((err = keep_factor(add, 0, input->scale, twice_largest)) < 0 ||
        (err = keep_factor(add, 1, second.scale, twice_largest)) < 0 ||
        (err = keep_factor(add, 2, twice_largest, shifted)) < 0) {
        return err;
    }
    add->count = input->elements;
    add->second = second.data != 0 ? second.data | WHIR_NN_IN_MODEL : 0;
    add->second_zero_point = (int8_t)second.zero_point;
    return whir_nn_layer_read_activation(reader, OPTION_ACTIVATION, output, layer);
}

static int32_t operand(const whir_nn_add_t *add, uint32_t i, int32_t x)
{
    return whir_nn_scale(x * (INT32_C(1) << LEFT_SHIFT), add->multiplier[i], add->shift[i]);
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_add_t *add = &layer->as.add;
    const int8_t *a = (const int8_t *)(nn->arena + layer->input);
    const int8_t *b = (const int8_t *)(nn->arena + add->second);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    if ((add->second & WHIR_NN_IN_MODEL) != 0) {
        b = (const int8_t *)(nn->model + (add->second & ~WHIR_NN_IN_MODEL));
    }
    for (uint32_t i = 0; i < add->count; i++) {
        int32_t sum = operand(add, 0, a[i] - layer->input_zero_point) + operand(add, 1, b[i] - add->second_zero_point);
        int32_t scaled = whir_nn_scale(sum, add->multiplier[2], add->shift[2]);

        out[i] = whir_nn_clamp(scaled + layer->output_zero_point, layer->low, layer->high);
    }
}

const whir_nn_op_t whir_nn_op_add = {0, OPTIONS, 2, WHIR_NN_LAYER_BYTES(add), read, run, NULL};
