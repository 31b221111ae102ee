#include "nn_layer.h"

int whir_nn_layer_set_activation(uint8_t activation, const whir_nn_tensor_t *tensor, whir_nn_layer_t *layer)
{
    static const whir_nn_real_t SIX = {UINT32_C(6) << 21, -21};
    enum { NONE = 0, RELU = 1, RELU_N1_TO_1 = 2, RELU6 = 3 };
    int32_t zero_point = tensor->zero_point;
    int32_t bound = 0; /* 6 or 1 in units of the tensor */

    layer->low = -128;
    layer->high = 127;
    if (activation == NONE) {
        return 0;
    }
    if (activation > RELU6) {
        return WHIR_ERR_NN_OPTION;
    }
    if (activation != RELU) {
        bound = whir_nn_real_steps(activation == RELU6 ? SIX : WHIR_NN_ONE, tensor->scale);
        if (zero_point + bound < 127) {
            layer->high = (int8_t)(zero_point + bound);
        }
    }
    if (activation == RELU_N1_TO_1) {
        if (zero_point - bound > -128) {
            layer->low = (int8_t)(zero_point - bound);
        }
    } else {
        layer->low = (int8_t)zero_point;
    }
    return 0;
}

int whir_nn_layer_read_activation(whir_nn_reader_t *reader, uint32_t field, const whir_nn_tensor_t *output,
                                  whir_nn_layer_t *layer)
{
    return whir_nn_layer_set_activation(whir_fb_get_u8(&reader->fb, reader->options, field), output, layer);
}
