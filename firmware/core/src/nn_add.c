#include "nn_pair.h"

/* BuiltinOptions_AddOptions */
#define OPTIONS 11
/* Both inputs are shifted left before they are brought to a common scale. */
#define LEFT_SHIFT 20

static int keep_factor(whir_nn_pair_t *pair, uint32_t i, whir_nn_real_t a, whir_nn_real_t b)
{
    whir_nn_factor_t factor;

    if (!whir_nn_factor(a, WHIR_NN_ONE, b, &factor) || factor.shift > 0) {
        return WHIR_ERR_NN_QUANT; /* TFLM wants factors below 1 */
    }
    pair->multiplier[i] = factor.multiplier;
    pair->shift[i] = (int8_t)factor.shift;
    return 0;
}

static int larger(whir_nn_real_t a, whir_nn_real_t b)
{
    return a.exponent > b.exponent || (a.exponent == b.exponent && a.mantissa > b.mantissa);
}

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_pair_t *pair = &layer->as.pair;
    whir_nn_real_t twice_largest, shifted = output->scale;
    whir_nn_tensor_t second;
    int err = whir_nn_pair_read(reader, input, output, layer, &second);

    if (err < 0) {
        return err;
    }
    twice_largest = larger(input->scale, second.scale) ? input->scale : second.scale;
    twice_largest.exponent++;
    shifted.exponent += LEFT_SHIFT;
    if ((err = keep_factor(pair, 0, input->scale, twice_largest)) < 0 ||
        (err = keep_factor(pair, 1, second.scale, twice_largest)) < 0) {
        return err;
    }
    return keep_factor(pair, 2, twice_largest, shifted);
}

static int32_t operand(const whir_nn_pair_t *pair, uint32_t i, int32_t x)
{
    return whir_nn_scale(x * (INT32_C(1) << LEFT_SHIFT), pair->multiplier[i], pair->shift[i]);
}

static int32_t sum(const whir_nn_pair_t *pair, int32_t a, int32_t b)
{
    return whir_nn_scale(operand(pair, 0, a) + operand(pair, 1, b), pair->multiplier[2], pair->shift[2]);
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    whir_nn_pair_run(nn, layer, sum);
}

bool whir_nn_check_add(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const int8_t *shift = layer->as.pair.shift;

    return whir_nn_pair_check(bounds, layer) && shift[0] <= 0 && shift[0] >= -31 && shift[1] <= 0 && shift[1] >= -31;
}

const whir_nn_reading_t whir_nn_reading_add = {0, OPTIONS, 2 | WHIR_NN_IN_PLACE, read};
const whir_nn_op_t whir_nn_op_add = {WHIR_NN_LAYER_BYTES(pair), run, NULL};
