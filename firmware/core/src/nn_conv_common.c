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

/* How the weights lie: (out, h, w, in) or, depthwise, (1, h, w, out). */
static int read_weights(const whir_nn_window_t *window, whir_nn_weights_t *weights, int depthwise)
{
    const uint16_t *dims = weights->tensor.dims;

    weights->count = window->out_c;
    weights->per_channel = weights->tensor.elements / window->out_c;
    if (depthwise) {
        weights->channel_stride = 1;
        weights->weight_stride = window->out_c;
        return dims[0] == 1 && dims[3] == window->out_c && window->out_c % window->in_c == 0 ? 0 : WHIR_ERR_NN_SHAPE;
    }
    weights->channel_stride = weights->per_channel;
    weights->weight_stride = 1;
    return dims[0] == window->out_c && dims[3] == window->in_c ? 0 : WHIR_ERR_NN_SHAPE; /* no grouped convolution */
}

int whir_nn_conv_read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                      whir_nn_layer_t *layer, int depthwise)
{
    whir_nn_window_t *window = &layer->as.window;
    uint32_t later = depthwise ? 1 : 0;
    whir_nn_weights_t weights;
    int err;

    if ((err = whir_nn_tensor_constant(reader, whir_nn_reader_input(reader, 1), WHIR_NN_TYPE_INT8, &weights.tensor)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_STRIDE_W, 0, &window->stride_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_STRIDE_H, 0, &window->stride_h)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_DILATION_W + later, 1, &window->dilation_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_DILATION_H + later, 1, &window->dilation_h)) < 0) {
        return err;
    }
    if (weights.tensor.rank != 4) {
        return WHIR_ERR_NN_SHAPE;
    }
    window->k_h = weights.tensor.dims[1];
    window->k_w = weights.tensor.dims[2];
    if ((err = whir_nn_window_fit(window, whir_fb_get_u8(&reader->fb, reader->options, OPTION_PADDING, 0), input, output)) <
            0 ||
        (err = read_weights(window, &weights, depthwise)) < 0 ||
        (err = whir_nn_layer_read_activation(reader, OPTION_ACTIVATION + later, output, layer)) < 0) {
        return err;
    }
    return whir_nn_channels_read(reader, layer, &weights, input->scale, output->scale);
}

void whir_nn_conv_run(const whir_nn_t *nn, const whir_nn_layer_t *layer, whir_nn_place_run_t *run)
{
    const whir_nn_window_t *win = &layer->as.window;
    whir_nn_channels_t channels = whir_nn_channels_of(nn, layer, win->out_c);
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    const int8_t *w = (const int8_t *)(nn->model + layer->weights);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    whir_nn_place_t place;

    for (uint32_t y = 0; y < win->out_h; y++) {
        place.rows = whir_nn_taps(y, win->stride_h, win->pad_h, win->dilation_h, win->k_h, win->in_h);
        for (uint32_t x = 0; x < win->out_w; x++, out += win->out_c) {
            place.columns = whir_nn_taps(x, win->stride_w, win->pad_w, win->dilation_w, win->k_w, win->in_w);
            place.whole = place.rows.end - place.rows.first == win->k_h && place.columns.end - place.columns.first == win->k_w;
            run(layer, &channels, &place, in, w, out);
        }
    }
}
