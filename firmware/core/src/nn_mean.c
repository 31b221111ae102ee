#include "nn_fixed.h"
#include "nn_layer.h"

/* BuiltinOptions_ReducerOptions */
#define OPTIONS 27

/* The axes as a bit mask. */
static int read_axes(whir_nn_reader_t *reader, uint32_t rank, uint32_t *mask)
{
    whir_nn_tensor_t axes;
    int err = whir_nn_tensor_constant(reader, 1, WHIR_NN_TYPE_INT32, &axes);

    *mask = 0;
    for (uint32_t i = 0; err == 0 && i < axes.elements; i++) {
        int32_t axis = (int32_t)whir_fb_load(reader->fb.data + axes.data + 4 * i);

        if (axis < 0) {
            axis += (int32_t)rank;
        }
        if (axis < 0 || axis >= (int32_t)rank) {
            return WHIR_ERR_NN_OPTION;
        }
        *mask |= UINT32_C(1) << axis;
    }
    return err;
}

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_mean_t *mean = &layer->as.mean;
    whir_nn_factor_t factor;
    uint32_t mask, rest;
    int32_t shift = 0;
    int err = read_axes(reader, input->rank, &mask);

    if (err < 0) {
        return err;
    }
    mean->outer = 1;
    mean->reduced = 1;
    mean->inner = 1;
    for (uint32_t i = 0; i < input->rank; i++) {
        if (input->dims[i] == 1) {
            continue;
        }
        if ((mask >> i & 1) == 0) {
            mean->inner *= input->dims[i];
        } else if (mean->inner == 1) {
            mean->reduced *= input->dims[i];
        } else if (mean->reduced == 1) {
            mean->outer = mean->inner;
            mean->inner = 1;
            mean->reduced = input->dims[i];
        } else {
            return WHIR_ERR_NN_OPTION; /* axes with others between them */
        }
    }
    if (output->elements != mean->outer * mean->inner) {
        return WHIR_ERR_NN_SHAPE;
    }
    if (!whir_nn_factor(input->scale, WHIR_NN_ONE, output->scale, &factor)) {
        return WHIR_ERR_NN_QUANT;
    }
    /* 1 / reduced goes into the factor, with as many bits as it has room for. */
    while (mean->reduced >> (shift + 1) != 0) {
        shift++;
    }
    shift = shift < 31 + factor.shift ? shift : 31 + factor.shift;
    rest = (uint32_t)factor.multiplier >> 1 >> (31 - shift);
    mean->multiplier = (int32_t)whir_nn_divide((uint32_t)factor.multiplier << shift, mean->reduced, &rest);
    mean->shift = factor.shift - shift;
    return 0;
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_mean_t *mean = &layer->as.mean;
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    int32_t zero = -layer->input_zero_point * (int32_t)mean->reduced;

    for (uint32_t o = 0; o < mean->outer; o++, in += mean->reduced * mean->inner) {
        for (uint32_t i = 0; i < mean->inner; i++) {
            int32_t sum = zero;

            for (uint32_t r = 0; r < mean->reduced; r++) {
                sum += in[r * mean->inner + i];
            }
            sum = whir_nn_add(whir_nn_scale(sum, mean->multiplier, mean->shift), layer->output_zero_point);
            *out++ = whir_nn_clamp(sum, -128, 127);
        }
    }
}

bool whir_nn_check_mean(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const whir_nn_mean_t *mean = &layer->as.mean;

    return whir_nn_bounds_layer(bounds, layer, whir_nn_bounds_product(mean->outer, mean->reduced, mean->inner),
                                whir_nn_bounds_product(mean->outer, mean->inner, 1)) &&
           whir_nn_shift_is_valid(mean->shift);
}

const whir_nn_reading_t whir_nn_reading_mean = {40, OPTIONS, 1, read};
const whir_nn_op_t whir_nn_op_mean = {WHIR_NN_LAYER_BYTES(mean), run, NULL};
