#include "nn_conv_common.h"
#include "nn_dot.h"

/* BuiltinOptions_Conv2DOptions */
#define OPTIONS 1
/* Sums under way at a time: so many channels at so many places beside each other. */
#define LANES 4u
#define PLACES 3u

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    return whir_nn_conv_read(reader, input, output, layer, 0);
}

#ifndef WHIR_NN_SMALL
#define RUN run

/* Output channels under way: channels[r].bias is for sums over whole windows of x, as the zero point is in it. */
typedef struct block {
    const whir_nn_window_t *window;
    const uint8_t *model;
    const whir_nn_layer_t *layer;
    uint32_t first;  /* channel */
    uint32_t count;  /* LANES, or 1, which all lanes then compute */
    const int8_t *w; /* weights of the first */
    uint32_t row;    /* from there to the next one's; 0 for one channel */
    whir_nn_channel_t channels[LANES];
    whir_nn_range_t range;
} block_t;

/* sums[r][p] = from[r][p] + x[p] · (weights r), over n bytes */
static NOT_INLINED void dot(uint32_t sums[LANES][PLACES], const uint32_t from[LANES][PLACES], const int8_t *x0,
                            const int8_t *x1, const int8_t *x2, const int8_t *w0, uint32_t row, uint32_t n)
{
    const int8_t *w1 = w0 + row, *w2 = w1 + row, *w3 = w2 + row, *end = x0 + n, *last = x0 + (n & ~(COLUMNS - 1));
    uint32_t a0 = from[0][0], a1 = from[0][1], a2 = from[0][2], b0 = from[1][0], b1 = from[1][1], b2 = from[1][2];
    uint32_t c0 = from[2][0], c1 = from[2][1], c2 = from[2][2], d0 = from[3][0], d1 = from[3][1], d2 = from[3][2];

#define ROW(first, second, third, weight)                                                                                      \
    {                                                                                                                          \
        int32_t k = weight;                                                                                                    \
        first += (uint32_t)(u * k);                                                                                            \
        second += (uint32_t)(v * k);                                                                                           \
        third += (uint32_t)(w * k);                                                                                            \
        WHIR_NN_KEEP(first)                                                                                                    \
        WHIR_NN_KEEP(second)                                                                                                   \
        WHIR_NN_KEEP(third)                                                                                                    \
    }
#define COLUMN(i)                                                                                                              \
    {                                                                                                                          \
        int32_t u = x0[i], v = x1[i], w = x2[i];                                                                               \
        ROW(a0, a1, a2, w0[i])                                                                                                 \
        ROW(b0, b1, b2, w1[i])                                                                                                 \
        ROW(c0, c1, c2, w2[i])                                                                                                 \
        ROW(d0, d1, d2, w3[i])                                                                                                 \
    }
#define ADVANCE(by) x0 += by, x1 += by, x2 += by, w0 += by, w1 += by, w2 += by, w3 += by

    for (; x0 != last; ADVANCE(COLUMNS)) {
        UNROLLED(COLUMN)
    }
    for (; x0 != end; ADVANCE(1)) {
        COLUMN(0)
    }
#undef ROW
#undef COLUMN
#undef ADVANCE
    sums[0][0] = a0, sums[0][1] = a1, sums[0][2] = a2, sums[1][0] = b0, sums[1][1] = b1, sums[1][2] = b2;
    sums[2][0] = c0, sums[2][1] = c1, sums[2][2] = c2, sums[3][0] = d0, sums[3][1] = d1, sums[3][2] = d2;
}

/*
 * `count` places beside each other, at least PLACES, whose windows are inside the input; that of the first begins at `x`. The
 * last group reaches back into the one before.
 */
static NOT_INLINED void run_places(const block_t *block, uint32_t count, const int8_t *x, int8_t *out)
{
    const whir_nn_window_t *win = block->window;
    uint32_t step = (uint32_t)win->stride_w * win->in_c, out_step = win->out_c, row = block->row;
    uint32_t x_tap = (uint32_t)win->dilation_w * win->in_c, x_line = (uint32_t)win->dilation_h * win->in_w * win->in_c;
    uint32_t length = win->in_c, taps = win->k_w, forward;
    whir_nn_range_t range = block->range;
    uint32_t biases[LANES][PLACES], sums[LANES][PLACES];

    for (uint32_t r = 0; r < LANES; r++) {
        biases[r][0] = biases[r][1] = biases[r][2] = (uint32_t)block->channels[r].bias;
    }
    if (win->dilation_w == 1) { /* what a row of the kernel meets lies beside each other */
        length *= taps;
        taps = 1;
    }
    for (;; count -= forward, x += forward * step, out += forward * out_step) {
        const uint32_t(*from)[PLACES] = (const uint32_t(*)[PLACES])biases;
        const int8_t *line = x, *at = x, *w = block->w;
        uint32_t tap = taps, pieces = taps * win->k_h;

        do {
            dot(sums, from, at, at + step, at + 2 * step, w, row, length);
            from = (const uint32_t(*)[PLACES])sums;
            w += length;
            at += x_tap;
            if (--tap == 0) {
                tap = taps;
                at = line += x_line;
            }
        } while (--pieces != 0);
        for (uint32_t r = 0; r < block->count; r++) {
            whir_nn_channel_t channel = block->channels[r];
            int8_t *to = out + r;

            to[0] = whir_nn_channel_byte(channel, range, sums[r][0]);
            to[out_step] = whir_nn_channel_byte(channel, range, sums[r][1]);
            to[2 * out_step] = whir_nn_channel_byte(channel, range, sums[r][2]);
        }
        if (count == PLACES) {
            return;
        }
        forward = count < 2 * PLACES ? count - PLACES : PLACES;
    }
}

/* A place whose window is not all inside, or that is not in a group. */
static void run_edge(const block_t *block, const whir_nn_taps_t *rows, const whir_nn_taps_t *columns, const int8_t *x,
                     int8_t *out)
{
    const whir_nn_window_t *win = block->window;

    for (uint32_t r = 0; r < block->count; r++) {
        uint32_t sum = whir_nn_window_sum(win, rows, columns, x, block->w + r * block->row, win->in_c, win->in_c,
                                          block->layer->input_zero_point);

        sum += (uint32_t)whir_nn_channel_bias(block->model, &block->layer->as.conv.weights, block->first + r);
        out[r] = whir_nn_channel_byte(block->channels[r], block->range, sum);
    }
}

/* One line of the output, several places at a time where all of their taps are inside. */
static void run_line(const block_t *block, const whir_nn_taps_t *rows, const int8_t *in, int8_t *out)
{
    const whir_nn_window_t *win = block->window;
    uint32_t count;

    for (uint32_t x = 0; x < win->out_w; x += count, out += count * win->out_c) {
        whir_nn_taps_t columns = whir_nn_taps(x, win->stride_w, win->pad_w, win->dilation_w, win->k_w, win->in_w);
        const int8_t *start = in + whir_nn_taps_start(win, rows, &columns);

        count = rows->end - rows->first == win->k_h ? whir_nn_taps_repeated(win, &columns, x) : 1;
        if (count >= PLACES) {
            run_places(block, count, start, out);
        } else {
            count = 1;
            run_edge(block, rows, &columns, start, out);
        }
    }
}

#ifdef WHIR_NN_FAST
#define FILL fill

static void fill(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_window_t *win = &layer->as.conv.window;
    uint32_t length = (uint32_t)win->k_h * win->k_w * win->in_c;

    for (uint32_t c = 0; c < win->out_c; c++) {
        whir_nn_channels_of(nn, layer)[c] = whir_nn_channel_fold(nn, layer, &layer->as.conv.weights, c, length);
    }
}
#else
#define FILL NULL
#endif

static whir_nn_channel_t channel_of(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t c, uint32_t length)
{
#ifdef WHIR_NN_FAST
    (void)length;
    return whir_nn_channels_of(nn, layer)[c];
#else
    return whir_nn_channel_fold(nn, layer, &layer->as.conv.weights, c, length);
#endif
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_conv_t *conv = &layer->as.conv;
    const whir_nn_window_t *win = &conv->window;
    uint32_t length = (uint32_t)win->k_h * win->k_w * win->in_c; /* of a channel's weights */
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    block_t block;

    block.window = win;
    block.model = nn->model;
    block.layer = layer;
    block.range = whir_nn_range_of(layer);
    block.count = win->out_c < LANES ? 1 : LANES;
    block.row = win->out_c < LANES ? 0 : length;
    for (block.first = 0; block.first < win->out_c; block.first += block.count) {
        int8_t *out = (int8_t *)(nn->arena + layer->output);

        if (block.first + block.count > win->out_c) {
            block.first = win->out_c - block.count; /* the last block begins in the one before */
        }
        block.w = (const int8_t *)(nn->model + conv->weights.data) + block.first * length;
        for (uint32_t r = 0; r < LANES; r++) {
            block.channels[r] = channel_of(nn, layer, block.first + (r < block.count ? r : 0), length);
        }
        out += block.first;
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
    whir_nn_conv_run(nn, layer, 0);
}
#endif

bool whir_nn_check_conv(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return whir_nn_conv_check(bounds, layer, 0);
}

const whir_nn_reading_t whir_nn_reading_conv = {3, OPTIONS, 1, read};
const whir_nn_op_t whir_nn_op_conv = {WHIR_NN_LAYER_BYTES(conv), RUN, FILL};
