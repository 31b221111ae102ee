#include "nn_conv_common.h"

/* BuiltinOptions_DepthwiseConv2DOptions */
#define OPTIONS 2

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    return whir_nn_conv_read(reader, input, output, layer, 1);
}

/* The sum over the taps inside the input; `in` begins below the first of them, `w` at the channel. */
static uint32_t add_taps(const whir_nn_window_t *win, const whir_nn_taps_t *rows, const whir_nn_taps_t *columns,
                         const int8_t *in, const int8_t *w, int32_t bias, int32_t zero_point)
{
    uint32_t tap = (uint32_t)win->dilation_w * win->in_c, sum = (uint32_t)bias;

    for (uint32_t ky = rows->first; ky < rows->end; ky++) {
        const int8_t *x = in + (ky - rows->first) * win->dilation_h * win->in_w * win->in_c;
        const int8_t *v = w + (ky * win->k_w + columns->first) * win->out_c;

        for (uint32_t i = columns->end - columns->first; i != 0; i--, x += tap, v += win->out_c) {
            sum += (uint32_t)((*x - zero_point) * *v);
        }
    }
    return sum;
}

/* All places of one output channel: `in`, `w` and `out` begin at the channel. */
static void run_channel(const whir_nn_layer_t *layer, const whir_nn_channel_t *channel, const int8_t *in, const int8_t *w,
                        int8_t *out)
{
    const whir_nn_window_t *win = &layer->as.conv.window;
    whir_nn_range_t range = whir_nn_range_of(layer);

    for (uint32_t y = 0; y < win->out_h; y++) {
        whir_nn_taps_t rows = whir_nn_taps(y, win->stride_h, win->pad_h, win->dilation_h, win->k_h, win->in_h);

        for (uint32_t x = 0; x < win->out_w; x++, out += win->out_c) {
            whir_nn_taps_t columns = whir_nn_taps(x, win->stride_w, win->pad_w, win->dilation_w, win->k_w, win->in_w);
            const int8_t *start = in + whir_nn_taps_start(win, &rows, &columns);
            uint32_t sum = add_taps(win, &rows, &columns, start, w, channel->bias, layer->input_zero_point);

            *out = (int8_t)whir_nn_channel_byte(*channel, range, sum);
        }
    }
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_conv_t *conv = &layer->as.conv;
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    const int8_t *w = (const int8_t *)(nn->model + conv->weights.data);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    uint32_t multiplier = conv->window.out_c / conv->window.in_c;

    for (uint32_t c = 0; c < conv->window.out_c; c++) {
        whir_nn_channel_t channel;

        whir_nn_channel_load(nn->model, &conv->weights, c, &channel);
        run_channel(layer, &channel, in + c / multiplier, w + c, out + c);
    }
}

const whir_nn_op_t whir_nn_op_depthwise_conv = {4, OPTIONS, 1, WHIR_NN_LAYER_BYTES(conv), read, run, NULL};
