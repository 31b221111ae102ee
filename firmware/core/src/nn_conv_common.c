#include "nn_conv_common.h"

/* Fields of the options. From the activation on, DEPTHWISE_CONV_2D has each one place later: its depth multiplier, which
 * follows from the shapes, stands in between. */
enum {
    OPTION_PADDING = 0,
    OPTION_STRIDE_W = 1,
    OPTION_STRIDE_H = 2,
    OPTION_ACTIVATION = 3,
    OPTION_DILATION_W = 4,
    OPTION_DILATION_H = 5,
};

int whir_nn_conv_read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                      whir_nn_layer_t *layer, uint32_t depthwise)
{
    whir_nn_window_t *window = &layer->as.conv.window;
    whir_nn_tensor_t weights;
    int err;

    if ((err = whir_nn_tensor_constant(reader, 1, WHIR_NN_TYPE_INT8, &weights)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_STRIDE_W, 0, &window->stride_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_STRIDE_H, 0, &window->stride_h)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_DILATION_W + depthwise, 1, &window->dilation_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_DILATION_H + depthwise, 1, &window->dilation_h)) < 0) {
        return err;
    }
    if (weights.rank != 4) {
        return WHIR_ERR_NN_SHAPE;
    }
    window->k_h = weights.dims[1];
    window->k_w = weights.dims[2];
    if ((err = whir_nn_window_fit(window, whir_fb_get_u8(&reader->fb, reader->options, OPTION_PADDING), input, output)) < 0 ||
        (err = whir_nn_layer_read_activation(reader, OPTION_ACTIVATION + depthwise, output, layer)) < 0) {
        return err;
    }
    /* Weights lie (out, h, w, in) or, depthwise, (1, h, w, out); there is no grouped convolution. */
    if (depthwise ? weights.dims[0] != 1 || weights.dims[3] != window->out_c || window->out_c % window->in_c != 0
                  : weights.dims[0] != window->out_c || weights.dims[3] != window->in_c) {
        return WHIR_ERR_NN_SHAPE;
    }
    return whir_nn_channels_read(reader, &layer->as.conv.weights, &weights, window->out_c, input, output);
}
