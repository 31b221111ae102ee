#include "nn_conv_common.h"
#include "nn_dot.h"

/* BuiltinOptions_Conv2DOptions */
#define OPTIONS 1

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    return whir_nn_conv_read(reader, input, output, layer, 0);
}

/* One output channel with all its borders; `w` begins at the channel. */
static int32_t channel_sum(const whir_nn_layer_t *layer, const whir_nn_place_t *place, const int8_t *in, const int8_t *w,
                           int32_t sum)
{
    const whir_nn_window_t *win = &layer->as.window;
    uint32_t total = (uint32_t)sum;

    for (uint32_t ky = 0; ky < win->k_h; ky++) {
        for (uint32_t kx = 0; kx < win->k_w; kx++, w += win->in_c) {
            const int8_t *x = whir_nn_conv_tap(win, place, in, ky, kx);

            for (uint32_t c = 0; c < win->in_c; c++) {
                total += (uint32_t)((x != NULL ? x[c] : layer->input_zero_point) * w[c]);
            }
        }
    }
    return (int32_t)total;
}

/* Four output channels from channel c on, where all taps are inside; `w` begins at channel c. */
static void inner_sums(const whir_nn_window_t *win, const int8_t *first, const int8_t *w, int32_t sums[4])
{
    uint32_t run = (uint32_t)win->k_w * win->in_c; /* weights of a kernel row */
    uint32_t row = (uint32_t)win->dilation_h * win->in_w * win->in_c;

    for (uint32_t ky = 0; ky < win->k_h; ky++) {
        if (win->dilation_w == 1) { /* what they meet lies beside each other too */
            whir_nn_dot4(sums, first + ky * row, w + ky * run, win->k_h * run, run);
            continue;
        }
        for (uint32_t kx = 0; kx < win->k_w; kx++) {
            const int8_t *x = first + ky * row + kx * win->dilation_w * win->in_c;

            whir_nn_dot4(sums, x, w + ky * run + kx * win->in_c, win->k_h * run, win->in_c);
        }
    }
}

static void run_place(const whir_nn_layer_t *layer, const whir_nn_channels_t *channels, const whir_nn_place_t *place,
                      const int8_t *in, const int8_t *w, int8_t *out)
{
    const whir_nn_window_t *win = &layer->as.window;
    uint32_t per_channel = (uint32_t)win->k_h * win->k_w * win->in_c;
    uint32_t c = 0;

    if (place->whole) {
        const int8_t *first = whir_nn_conv_tap(win, place, in, 0, 0);

        for (; c + 4 <= win->out_c; c += 4, w += 4 * per_channel) {
            int32_t sums[4] = {channels->bias[c], channels->bias[c + 1], channels->bias[c + 2], channels->bias[c + 3]};

            inner_sums(win, first, w, sums);
            whir_nn_channels_store(channels, layer, c, 4, sums, out + c);
        }
    }
    for (; c < win->out_c; c++, w += per_channel) {
        int32_t sum = channel_sum(layer, place, in, w, channels->bias[c]);

        whir_nn_channels_store(channels, layer, c, 1, &sum, out + c);
    }
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    whir_nn_conv_run(nn, layer, run_place);
}

const whir_nn_op_t whir_nn_op_conv = {3, OPTIONS, 1, read, run};
