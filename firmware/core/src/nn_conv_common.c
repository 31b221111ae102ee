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

#ifndef WHIR_NN_SMALL
static void swap(uint16_t *height, uint16_t *width)
{
    uint16_t kept = *height;

    *height = *width;
    *width = kept;
}

/* A column of places lies in memory like a line, and it is along lines that several are under way at a time. */
static void lay_down(whir_nn_window_t *window)
{
    if (window->in_w == 1 && window->k_w == 1) {
        swap(&window->in_h, &window->in_w);
        swap(&window->out_h, &window->out_w);
        swap(&window->k_h, &window->k_w);
        swap(&window->stride_h, &window->stride_w);
        swap(&window->dilation_h, &window->dilation_w);
        swap(&window->pad_h, &window->pad_w);
    }
}
#endif

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
#ifndef WHIR_NN_SMALL
    lay_down(window);
#endif
    return whir_nn_channels_read(reader, layer, &layer->as.conv.weights, &weights, window->out_c, input, output);
}

bool whir_nn_conv_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, uint32_t depthwise)
{
    const whir_nn_conv_t *conv = &layer->as.conv;
    const whir_nn_window_t *win = &conv->window;
    uint32_t filters = whir_nn_bounds_product(win->k_h, win->k_w, depthwise ? 1 : win->in_c);

    return whir_nn_window_check(bounds, layer, win) && (!depthwise || win->out_c % win->in_c == 0) &&
           whir_nn_channels_check(bounds, layer, &conv->weights, whir_nn_bounds_product(filters, win->out_c, 1), win->out_c);
}

#ifdef WHIR_NN_SMALL
void whir_nn_conv_run(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t depthwise)
{
    const whir_nn_conv_t *conv = &layer->as.conv;
    const whir_nn_window_t *win = &conv->window;
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    const int8_t *w = (const int8_t *)(nn->model + conv->weights.data);
    uint32_t length = depthwise ? 1 : win->in_c, tap = depthwise ? win->out_c : win->in_c;

    for (uint32_t c = 0; c < win->out_c; c++) {
        whir_nn_channel_t channel = whir_nn_channel_load(nn->model, &conv->weights, c);
        int8_t *out = (int8_t *)(nn->arena + layer->output) + c;
        uint32_t first = depthwise ? c / (win->out_c / win->in_c) : 0; /* input channel */

        for (uint32_t y = 0; y < win->out_h; y++) {
            whir_nn_taps_t rows = whir_nn_taps(y, win->stride_h, win->pad_h, win->dilation_h, win->k_h, win->in_h);

            for (uint32_t x = 0; x < win->out_w; x++, out += win->out_c) {
                whir_nn_taps_t columns = whir_nn_taps(x, win->stride_w, win->pad_w, win->dilation_w, win->k_w, win->in_w);
                const int8_t *start = in + first + whir_nn_taps_start(win, &rows, &columns);
                uint32_t sum = whir_nn_window_sum(win, &rows, &columns, start, w, length, tap, layer->input_zero_point);

                *out = whir_nn_channel_byte(channel, whir_nn_range_of(layer), sum + (uint32_t)channel.bias);
            }
        }
        w += depthwise ? 1 : (uint32_t)win->k_h * win->k_w * win->in_c;
    }
}
#endif
