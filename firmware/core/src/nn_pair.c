#include "nn_pair.h"

enum { OPTION_ACTIVATION = 0 };

/* From the last axis outwards the same as the output's, and then nothing but ones. */
static bool fits(const whir_nn_tensor_t *operand, const whir_nn_tensor_t *output)
{
    uint32_t rest = operand->elements;

    for (uint32_t i = 1; rest != 1; i++) {
        uint32_t dim = operand->dims[operand->rank - i];

        if (i > output->rank || dim != output->dims[output->rank - i]) {
            return false;
        }
        rest /= dim;
    }
    return operand->rank <= output->rank;
}

int whir_nn_pair_read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                      whir_nn_layer_t *layer, whir_nn_tensor_t *second)
{
    whir_nn_pair_t *pair = &layer->as.pair;
    int err = whir_nn_tensor_activation(reader, whir_nn_reader_input(reader, 1), second);

    if (err < 0) {
        return err;
    }
    if (!fits(input, output) || !fits(second, output) ||
        (input->elements != output->elements && second->elements != output->elements)) {
        return WHIR_ERR_NN_SHAPE;
    }
    pair->count = output->elements;
    pair->counts[0] = input->elements;
    pair->counts[1] = second->elements;
    pair->second = second->data != 0 ? second->data | WHIR_NN_IN_MODEL : 0;
    pair->second_zero_point = (int8_t)second->zero_point;
    return whir_nn_layer_read_activation(reader, OPTION_ACTIVATION, output, layer);
}

bool whir_nn_pair_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const whir_nn_pair_t *pair = &layer->as.pair;

    return whir_nn_bounds_input(bounds, layer->input, pair->counts[0]) &&
           whir_nn_bounds_input(bounds, pair->second, pair->counts[1]) &&
           whir_nn_bounds_inside(layer->output, pair->count, bounds->tensor_bytes) && whir_nn_shift_is_valid(pair->shift[2]);
}
