#include "nn_conv_common.h"

/* BuiltinOptions_DepthwiseConv2DOptions */
#define OPTIONS 2

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    return whir_nn_conv_read(reader, input, output, layer, 1);
}

/* One output channel with all its borders: `in` and `w` begin at the channel. */
static int32_t channel_sum(const whir_nn_layer_t *layer, const whir_nn_place_t *place, const int8_t *in, const int8_t *w,
                           int32_t sum)
{
    const whir_nn_window_t *win = &layer->as.window;
    uint32_t total = (uint32_t)sum;

    for (uint32_t ky = 0; ky < win->k_h; ky++) {
        for (uint32_t kx = 0; kx < win->k_w; kx++, w += win->out_c) {
            const int8_t *x = whir_nn_conv_tap(win, place, in, ky, kx);

            total += (uint32_t)((x != NULL ? *x : layer->input_zero_point) * *w);
        }
    }
    return (int32_t)total;
}

/* The same where all taps are inside: `in` begins at the channel below the first tap. */
static int32_t inner_sum(const whir_nn_window_t *win, const int8_t *in, const int8_t *w, int32_t sum)
{
    uint32_t column = (uint32_t)win->dilation_w * win->in_c;
    uint32_t row = (uint32_t)win->dilation_h * win->in_w * win->in_c;
    uint32_t total = (uint32_t)sum;

    for (uint32_t ky = 0; ky < win->k_h; ky++, in += row) {
        const int8_t *x = in;

        for (uint32_t kx = 0; kx < win->k_w; kx++, w += win->out_c, x += column) {
            total += (uint32_t)(*x * *w);
        }
    }
    return (int32_t)total;
}

static void run_place(const whir_nn_layer_t *layer, const whir_nn_channels_t *channels, const whir_nn_place_t *place,
                      const int8_t *in, const int8_t *w, int8_t *out)
{
    const whir_nn_window_t *win = &layer->as.window;
    uint32_t multiplier = win->out_c / win->in_c;
    uint32_t c = 0;
    int32_t sums[4];

    if (place->whole) {
        in = whir_nn_conv_tap(win, place, in, 0, 0);
    }
    for (uint32_t in_c = 0; in_c < win->in_c; in_c++, in++) {
        for (uint32_t m = 0; m < multiplier; m++, c++) {
            int32_t bias = channels->bias[c];

            sums[c % 4] = place->whole ? inner_sum(win, in, w + c, bias) : channel_sum(layer, place, in, w + c, bias);
            if (c % 4 == 3) {
                whir_nn_channels_store(channels, layer, c - 3, 4, sums, out + c - 3);
            }
        }
    }
    whir_nn_channels_store(channels, layer, c - c % 4, c % 4, sums, out + c - c % 4);
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    whir_nn_conv_run(nn, layer, run_place);
}

const whir_nn_op_t whir_nn_op_depthwise_conv = {4, OPTIONS, 1, read, run};
