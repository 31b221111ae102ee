#include "nn_channels.h"
#include "nn_window.h"

/* BuiltinOptions_DepthwiseConv2DOptions */
#define OPTIONS 2

enum {
    OPTION_PADDING = 0,
    OPTION_STRIDE_W = 1,
    OPTION_STRIDE_H = 2,
    OPTION_ACTIVATION = 4,
    OPTION_DILATION_W = 5,
    OPTION_DILATION_H = 6,
};

static int read(whir_nn_reader_t *reader, whir_nn_layer_t *layer)
{
    whir_nn_window_t *window = &layer->as.window;
    whir_nn_tensor_t input, output;
    whir_nn_real_t input_scale, output_scale;
    whir_nn_weights_t weights;
    int err;

    if ((err = whir_nn_tensor_activation(reader, whir_nn_reader_input(reader, 0), &input, &input_scale)) < 0 ||
        (err = whir_nn_tensor_activation(reader, whir_nn_reader_output(reader), &output, &output_scale)) < 0 ||
        (err = whir_nn_tensor_constant(reader, whir_nn_reader_input(reader, 1), WHIR_NN_TYPE_INT8, &weights.tensor)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_STRIDE_W, 0, &window->stride_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_STRIDE_H, 0, &window->stride_h)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_DILATION_W, 1, &window->dilation_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_DILATION_H, 1, &window->dilation_h)) < 0) {
        return err;
    }
    if (weights.tensor.rank != 4) {
        return WHIR_ERR_NN_SHAPE;
    }
    window->k_h = weights.tensor.dims[1];
    window->k_w = weights.tensor.dims[2];
    err = whir_nn_window_fit(window, whir_fb_get_u8(&reader->fb, reader->options, OPTION_PADDING, 0), &input, &output);
    if (err < 0) {
        return err;
    }
    /* The option "depth multiplier" follows from the shapes, and is not looked at. */
    window->depth_multiplier = window->out_c / window->in_c;
    if (weights.tensor.dims[0] != 1 || weights.tensor.dims[3] != window->out_c || window->out_c % window->in_c != 0) {
        return WHIR_ERR_NN_SHAPE;
    }
    layer->input_zero_point = (int8_t)input.zero_point;
    layer->output_zero_point = (int8_t)output.zero_point;
    err = whir_nn_activation_range(whir_fb_get_u8(&reader->fb, reader->options, OPTION_ACTIVATION, 0), output_scale,
                                   output.zero_point, &layer->low, &layer->high);
    if (err < 0) {
        return err;
    }
    weights.count = window->out_c;
    weights.per_channel = weights.tensor.elements / window->out_c;
    weights.channel_stride = 1;
    weights.weight_stride = window->out_c;
    return whir_nn_channels_read(reader, layer, &weights, input_scale, output_scale);
}

/* One output channel at one place: `in` and `w` begin at the channel. Taps outside count as the zero point (see nn_conv.c). */
static int32_t channel_sum(const whir_nn_window_t *win, whir_nn_taps_t rows, whir_nn_taps_t columns, const int8_t *in,
                           const int8_t *w, int32_t zero_point, int32_t sum)
{
    uint32_t total = (uint32_t)sum;

    for (uint32_t ky = 0; ky < win->k_h; ky++) {
        int32_t y = rows.origin + (int32_t)(ky * win->dilation_h);

        for (uint32_t kx = 0; kx < win->k_w; kx++, w += win->out_c) {
            int32_t value = zero_point;

            if (ky >= rows.first && ky < rows.end && kx >= columns.first && kx < columns.end) {
                int32_t x = columns.origin + (int32_t)(kx * win->dilation_w);

                value = in[((uint32_t)y * win->in_w + (uint32_t)x) * win->in_c];
            }
            total += (uint32_t)(value * *w);
        }
    }
    return (int32_t)total;
}

/* The same where all taps are inside. */
static int32_t inner_sum(const whir_nn_window_t *win, const int8_t *in, const int8_t *w, int32_t sum)
{
    uint32_t total = (uint32_t)sum, x_step = (uint32_t)win->dilation_w * win->in_c;
    uint32_t y_step = (uint32_t)win->dilation_h * win->in_w * win->in_c;

    for (uint32_t ky = 0; ky < win->k_h; ky++, in += y_step) {
        const int8_t *value = in;

        for (uint32_t kx = 0; kx < win->k_w; kx++, w += win->out_c, value += x_step) {
            total += (uint32_t)(*value * *w);
        }
    }
    return (int32_t)total;
}

static void run_place(const whir_nn_window_t *win, const whir_nn_layer_t *layer, const whir_nn_channels_t *channels,
                      whir_nn_taps_t rows, whir_nn_taps_t columns, const int8_t *in, const int8_t *w, int8_t *out)
{
    int whole = rows.end - rows.first == win->k_h && columns.end - columns.first == win->k_w;
    uint32_t c = 0;

    if (whole) {
        in += ((uint32_t)rows.origin * win->in_w + (uint32_t)columns.origin) * win->in_c;
    }
    for (uint32_t in_c = 0; in_c < win->in_c; in_c++) {
        for (uint32_t m = 0; m < win->depth_multiplier; m++, c++) {
            int32_t bias = channels->bias[c];
            int32_t sum = whole ? inner_sum(win, in + in_c, w + c, bias)
                                : channel_sum(win, rows, columns, in + in_c, w + c, layer->input_zero_point, bias);

            out[c] = whir_nn_channels_output(channels, layer, c, sum);
        }
    }
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_window_t *win = &layer->as.window;
    whir_nn_channels_t channels = whir_nn_channels_of(nn, layer, win->out_c);
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    const int8_t *w = (const int8_t *)(nn->model + layer->weights);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    for (uint32_t y = 0; y < win->out_h; y++) {
        whir_nn_taps_t rows = whir_nn_taps(y, win->stride_h, win->pad_h, win->dilation_h, win->k_h, win->in_h);

        for (uint32_t x = 0; x < win->out_w; x++, out += win->out_c) {
            whir_nn_taps_t columns = whir_nn_taps(x, win->stride_w, win->pad_w, win->dilation_w, win->k_w, win->in_w);

            run_place(win, layer, &channels, rows, columns, in, w, out);
        }
    }
}

const whir_nn_op_t whir_nn_op_depthwise_conv = {4, OPTIONS, 1, read, run};
