#include "nn_pair.h"

/* BuiltinOptions_MulOptions */
#define OPTIONS 21

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_tensor_t second;
    whir_nn_factor_t factor;
    int err = whir_nn_pair_read(reader, input, output, layer, &second);

    if (err == 0 && !whir_nn_factor(input->scale, second.scale, output->scale, &factor)) {
        err = WHIR_ERR_NN_QUANT;
    }
    if (err == 0) {
        layer->as.pair.multiplier[2] = factor.multiplier;
        layer->as.pair.shift[2] = (int8_t)factor.shift;
    }
    return err;
}

static int32_t product(const whir_nn_pair_t *pair, int32_t a, int32_t b)
{
    return whir_nn_scale(a * b, pair->multiplier[2], pair->shift[2]);
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    whir_nn_pair_run(nn, layer, product);
}

bool whir_nn_check_mul(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return whir_nn_pair_check(bounds, layer);
}

const whir_nn_reading_t whir_nn_reading_mul = {18, OPTIONS, 2 | WHIR_NN_IN_PLACE, read};
const whir_nn_op_t whir_nn_op_mul = {WHIR_NN_LAYER_BYTES(pair), run, NULL};
