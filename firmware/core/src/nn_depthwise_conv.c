#include "nn_conv_common.h"
#include "nn_dot.h"

/* BuiltinOptions_DepthwiseConv2DOptions */
#define OPTIONS 2
/* Channels under way at a time. */
#define LANES 4u

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    return whir_nn_conv_read(reader, input, output, layer, 1);
}

#ifndef WHIR_NN_SMALL
#define RUN run

/* Output channels under way. */
typedef struct block {
    const whir_nn_layer_t *layer;
    const int8_t *w; /* of the first */
    uint32_t count;  /* LANES, or 1 */
    whir_nn_channel_t channels[LANES];
    whir_nn_range_t range;
} block_t;

/* `count` places beside each other with the same taps inside, of which `x` begins at the first: LANES channels of each. */
static NOT_INLINED void run_places(const block_t *block, const whir_nn_taps_t *rows, const whir_nn_taps_t *columns,
                                   uint32_t count, const int8_t *x, int8_t *out)
{
    const whir_nn_window_t *win = &block->layer->as.conv.window;
    uint32_t tap = (uint32_t)win->dilation_w * win->in_c, line = (uint32_t)win->dilation_h * win->in_w * win->in_c;
    uint32_t channels = win->out_c, step = (uint32_t)win->stride_w * win->in_c, lines = rows->end - rows->first;
    uint32_t taps = (columns->end - columns->first) * channels, w_line = win->k_w * channels;
    const int8_t *first = block->w + rows->first * w_line + columns->first * channels;
    int32_t zero_point = block->layer->input_zero_point;

    for (; count != 0; count--, x += step, out += channels) {
        uint32_t a = (uint32_t)block->channels[0].bias, b = (uint32_t)block->channels[1].bias;
        uint32_t c = (uint32_t)block->channels[2].bias, d = (uint32_t)block->channels[3].bias;
        const int8_t *in = x, *w = first;

        for (uint32_t ky = lines; ky != 0; ky--, in += line, w += w_line) {
            const int8_t *v = in;

            for (const int8_t *u = w, *end = w + taps; u != end; u += channels, v += tap) {
                a += (uint32_t)((v[0] - zero_point) * u[0]);
                b += (uint32_t)((v[1] - zero_point) * u[1]);
                c += (uint32_t)((v[2] - zero_point) * u[2]);
                d += (uint32_t)((v[3] - zero_point) * u[3]);
            }
        }
        out[0] = whir_nn_channel_byte(block->channels[0], block->range, a);
        out[1] = whir_nn_channel_byte(block->channels[1], block->range, b);
        out[2] = whir_nn_channel_byte(block->channels[2], block->range, c);
        out[3] = whir_nn_channel_byte(block->channels[3], block->range, d);
    }
}

/* `in` and `out` begin at the first channel. */
static void run_line(const block_t *block, const whir_nn_taps_t *rows, const int8_t *in, int8_t *out)
{
    const whir_nn_window_t *win = &block->layer->as.conv.window;
    uint32_t count;

    for (uint32_t x = 0; x < win->out_w; x += count, out += count * win->out_c) {
        whir_nn_taps_t columns = whir_nn_taps(x, win->stride_w, win->pad_w, win->dilation_w, win->k_w, win->in_w);
        const int8_t *start = in + whir_nn_taps_start(win, rows, &columns);

        if (block->count == LANES) {
            count = whir_nn_taps_repeated(win, &columns, x);
            run_places(block, rows, &columns, count, start, out);
        } else {
            uint32_t sum = (uint32_t)block->channels[0].bias;

            sum += whir_nn_window_sum(win, rows, &columns, start, block->w, 1, win->out_c, block->layer->input_zero_point);
            *out = whir_nn_channel_byte(block->channels[0], block->range, sum);
            count = 1;
        }
    }
}

#ifdef WHIR_NN_FAST
#define FILL fill

static void fill(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    for (uint32_t c = 0; c < layer->as.conv.window.out_c; c++) {
        whir_nn_channels_of(nn, layer)[c] = whir_nn_channel_load(nn->model, &layer->as.conv.weights, c);
    }
}
#else
#define FILL NULL
#endif

static whir_nn_channel_t channel_of(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t c)
{
#ifdef WHIR_NN_FAST
    return whir_nn_channels_of(nn, layer)[c];
#else
    return whir_nn_channel_load(nn->model, &layer->as.conv.weights, c);
#endif
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_conv_t *conv = &layer->as.conv;
    const whir_nn_window_t *win = &conv->window;
    uint32_t multiplier = win->out_c / win->in_c;
    bool apart = whir_nn_bounds_apart(layer, (uint32_t)win->in_h * win->in_w * win->in_c,
                                      (uint32_t)win->out_h * win->out_w * win->out_c);
    block_t block;

    block.layer = layer;
    block.range = whir_nn_range_of(layer);
    block.count = multiplier == 1 && win->out_c >= LANES ? LANES : 1;
    for (uint32_t c = 0; c < win->out_c; c += block.count) {
        const int8_t *in = (const int8_t *)(nn->arena + layer->input);
        int8_t *out = (int8_t *)(nn->arena + layer->output);

        if (c + block.count > win->out_c) {
            if (apart) {
                c = win->out_c - block.count; /* the last block begins in the one before */
            } else {
                block.count = 1; /* whose input is used up */
            }
        }
        block.w = (const int8_t *)(nn->model + conv->weights.data) + c;
        for (uint32_t r = 0; r < block.count; r++) {
            block.channels[r] = channel_of(nn, layer, c + r);
        }
        in += c / multiplier;
        out += c;
        for (uint32_t y = 0; y < win->out_h; y++, out += win->out_w * win->out_c) {
            whir_nn_taps_t rows = whir_nn_taps(y, win->stride_h, win->pad_h, win->dilation_h, win->k_h, win->in_h);

            run_line(&block, &rows, in, out);
        }
    }
}

#else
#define FILL NULL
#define RUN run_plain

static void run_plain(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    whir_nn_conv_run(nn, layer, 1);
}
#endif

bool whir_nn_check_depthwise_conv(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return whir_nn_conv_check(bounds, layer, 1);
}

const whir_nn_reading_t whir_nn_reading_depthwise_conv = {4, OPTIONS, 1 | WHIR_NN_SLIDES, read};
const whir_nn_op_t whir_nn_op_depthwise_conv = {WHIR_NN_LAYER_BYTES(conv), RUN, FILL};
