#include "nn_fixed.h"
#include "nn_layer.h"

enum { OPTION_BETA = 0 };

/* BuiltinOptions_SoftmaxOptions */
#define OPTIONS 9
/* Differences to the row's largest element are Q5.26, the sum of their exponentials is Q12.19. */
#define DIFF_INTEGER_BITS 5
#define SUM_INTEGER_BITS 12
#define DEPTH_MAX 4095u

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_softmax_t *softmax = &layer->as.softmax;
    whir_nn_real_t steepness = input->scale;
    uint32_t beta = whir_fb_get_u32(&reader->fb, reader->options, OPTION_BETA, 0);
    whir_nn_factor_t factor;

    if (input->rank == 0 || output->rank == 0 || output->elements != input->elements ||
        output->dims[output->rank - 1] != input->dims[input->rank - 1] || input->dims[input->rank - 1] > DEPTH_MAX) {
        return WHIR_ERR_NN_SHAPE;
    }
    if (output->zero_point != -128 || output->scale.mantissa != UINT32_C(1) << 23 || output->scale.exponent != -8 - 23) {
        return WHIR_ERR_NN_QUANT; /* the kernel's result is in 1/256 */
    }
    if (!whir_nn_real_is_valid(beta)) {
        return WHIR_ERR_NN_OPTION;
    }
    softmax->depth = input->dims[input->rank - 1];
    softmax->rows = input->elements / softmax->depth;
    steepness.exponent += 31 - DIFF_INTEGER_BITS;
    if (!whir_nn_factor(steepness, whir_nn_real(beta), WHIR_NN_ONE, &factor)) {
        /* So steep that only the largest element counts. */
        factor.multiplier = 0;
        factor.shift = 31;
    } else if (factor.shift < 1 || (factor.shift == 1 && factor.multiplier == INT32_C(1) << 30)) {
        return WHIR_ERR_NN_QUANT; /* TFLM wants a factor above 1 */
    }
    softmax->multiplier = factor.multiplier;
    softmax->shift = factor.shift;
    return 0;
}

bool whir_nn_check_softmax(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const whir_nn_softmax_t *softmax = &layer->as.softmax;
    uint32_t bytes = whir_nn_bounds_product(softmax->rows, softmax->depth, 1);

    return whir_nn_bounds_layer(bounds, layer, bytes, bytes) && softmax->depth <= DEPTH_MAX && softmax->multiplier >= 0 &&
           (uint32_t)softmax->shift <= 31;
}

/* exp(diff * scale), Q0.31; diff from the least that counts to 0 */
static int32_t exp_of(const whir_nn_softmax_t *softmax, int32_t diff)
{
    int32_t rescaled = whir_nn_high_mul(whir_nn_shift_left(diff, softmax->shift), 2 * (uint32_t)softmax->multiplier);

    return whir_nn_exp_negative(rescaled, DIFF_INTEGER_BITS);
}

static void run_row(const whir_nn_softmax_t *softmax, const int8_t *x, int8_t *out)
{
    int32_t diff_min = -((INT32_C(31) << (31 - DIFF_INTEGER_BITS)) >> softmax->shift);
    int32_t largest = -128, sum = 0, bits = 0, share;

    for (uint32_t i = 0; i < softmax->depth; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    for (uint32_t i = 0; i < softmax->depth; i++) {
        if (x[i] - largest >= diff_min) {
            sum += whir_nn_shift_right(exp_of(softmax, x[i] - largest), SUM_INTEGER_BITS);
        }
    }
    /* The sum is at least 1, the largest element's share. 1 / sum: normalised to 1 + a by `bits`. */
    while (sum >> (31 - SUM_INTEGER_BITS + bits + 1) != 0) {
        bits++;
    }
    share = whir_nn_one_over_one_plus((int32_t)(((uint32_t)sum << (SUM_INTEGER_BITS - bits)) - 0x80000000u));
    for (uint32_t i = 0; i < softmax->depth; i++) {
        int32_t y = 0;

        if (x[i] - largest >= diff_min) {
            y = whir_nn_high_mul(exp_of(softmax, x[i] - largest), 2 * (uint32_t)share);
            y = whir_nn_shift_right(y >> bits, 31 - 8);
        }
        out[i] = (int8_t)(y > 255 ? 127 : y - 128);
    }
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_softmax_t *softmax = &layer->as.softmax;
    const int8_t *x = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    for (uint32_t row = 0; row < softmax->rows; row++) {
        run_row(softmax, x, out);
        x += softmax->depth;
        out += softmax->depth;
    }
}

const whir_nn_reading_t whir_nn_reading_softmax = {25, OPTIONS, 1 | WHIR_NN_IN_PLACE, read};
const whir_nn_op_t whir_nn_op_softmax = {WHIR_NN_LAYER_BYTES(softmax), run, NULL};
