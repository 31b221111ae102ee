#include "nn_conv_common.h"
#include "nn_dot.h"

/* BuiltinOptions_Conv2DOptions */
#define OPTIONS 1
#define LANES 4u

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    return whir_nn_conv_read(reader, input, output, layer, 0);
}

/* Output channels under way. Those beyond the last are the last again, computed for nothing. */
typedef struct block {
    const whir_nn_layer_t *layer;
    whir_nn_range_t range;
    const int8_t *rows[LANES];
    whir_nn_channel_t channels[LANES];
    uint32_t count;
} block_t;

/* sums[r] += (x - zero_point) · (row r from offset on), and the same for y from sums[LANES] on */
static NOT_INLINED void dot(uint32_t sums[2 * LANES], const int8_t *x, const int8_t *y, const int8_t *const rows[LANES],
                            uint32_t offset, uint32_t n, int32_t zero_point)
{
    const int8_t *w0 = rows[0] + offset, *w1 = rows[1] + offset, *w2 = rows[2] + offset, *w3 = rows[3] + offset;
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], t0 = sums[4], t1 = sums[5], t2 = sums[6], t3 = sums[7];
    const int8_t *end = x + n;

#define COLUMN(i)                                                                                                              \
    {                                                                                                                          \
        int32_t v = x[i] - zero_point, u = y[i] - zero_point;                                                                  \
        s0 += (uint32_t)(v * w0[i]);                                                                                           \
        t0 += (uint32_t)(u * w0[i]);                                                                                           \
        s1 += (uint32_t)(v * w1[i]);                                                                                           \
        t1 += (uint32_t)(u * w1[i]);                                                                                           \
        s2 += (uint32_t)(v * w2[i]);                                                                                           \
        t2 += (uint32_t)(u * w2[i]);                                                                                           \
        s3 += (uint32_t)(v * w3[i]);                                                                                           \
        t3 += (uint32_t)(u * w3[i]);                                                                                           \
        KEEP_ORDER(s0, s1, s2, s3, t0, t1, t2, t3)                                                                             \
    }
#define ADVANCE(by) x += by, y += by, w0 += by, w1 += by, w2 += by, w3 += by

    for (const int8_t *last = x + (n & ~(COLUMNS - 1)); x != last; ADVANCE(COLUMNS)) {
        COLUMN(0)
        UNROLLED(COLUMN)
    }
    for (; x != end; ADVANCE(1)) {
        COLUMN(0)
    }
#undef COLUMN
#undef ADVANCE
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    sums[4] = t0;
    sums[5] = t1;
    sums[6] = t2;
    sums[7] = t3;
}

static void store(const block_t *block, const uint32_t *sums, int8_t *x, int8_t *y)
{
    whir_nn_range_t range = block->range;

    for (uint32_t r = 0; r < block->count; r++) {
        whir_nn_channel_t channel = block->channels[r];

        x[r] = (int8_t)whir_nn_channel_byte(channel, range, sums[r]);
        y[r] = (int8_t)whir_nn_channel_byte(channel, range, sums[LANES + r]);
    }
}

/* The sums of two places of the output whose taps inside the input are the same; `x` and `y` begin below the first of them. */
static void add_taps(const block_t *block, const whir_nn_taps_t *rows, const whir_nn_taps_t *columns, const int8_t *x,
                     const int8_t *y, uint32_t sums[2 * LANES])
{
    const whir_nn_window_t *win = &block->layer->as.conv.window;
    uint32_t tap = (uint32_t)win->dilation_w * win->in_c, line = (uint32_t)win->dilation_h * win->in_w * win->in_c;
    uint32_t taps = columns->end - columns->first, length = win->in_c;

    for (uint32_t r = 0; r < LANES; r++) {
        sums[r] = sums[LANES + r] = (uint32_t)block->channels[r].bias;
    }
    if (win->dilation_w == 1) { /* what a row of the kernel meets lies beside each other */
        length *= taps;
        taps = taps != 0;
    }
    for (uint32_t ky = rows->first; ky < rows->end; ky++, x += line, y += line) {
        uint32_t offset = (ky * win->k_w + columns->first) * win->in_c;

        for (uint32_t i = 0; i < taps; i++, offset += length) {
            dot(sums, x + i * tap, y + i * tap, block->rows, offset, length, block->layer->input_zero_point);
        }
    }
}

/* Pairs of places from x on, all of whose taps are inside. */
static uint32_t count_pairs(const whir_nn_window_t *win, const whir_nn_taps_t *columns, uint32_t x)
{
    uint32_t last = (uint32_t)columns->origin + (win->k_w - 1u) * win->dilation_w, count;

    if (columns->end - columns->first != win->k_w) {
        return 0;
    }
    count = (win->in_w - 1 - last) / win->stride_w + 1;
    return (count < win->out_w - x ? count : win->out_w - x) / 2;
}

/* One line of the output, two places at a time where their taps allow. */
static void run_line(const block_t *block, const whir_nn_taps_t *rows, const int8_t *in, int8_t *out)
{
    const whir_nn_window_t *win = &block->layer->as.conv.window;
    uint32_t step = (uint32_t)win->stride_w * win->in_c, out_c = win->out_c;
    uint32_t sums[2 * LANES];

    for (uint32_t x = 0; x < win->out_w;) {
        whir_nn_taps_t columns = whir_nn_taps(x, win->stride_w, win->pad_w, win->dilation_w, win->k_w, win->in_w);
        const int8_t *start = in + whir_nn_taps_start(win, rows, &columns);
        uint32_t pairs = count_pairs(win, &columns, x);

        if (pairs == 0) {
            add_taps(block, rows, &columns, start, start, sums);
            store(block, sums, out, out);
            out += out_c;
            x++;
            continue;
        }
        x += 2 * pairs;
        for (; pairs != 0; pairs--, start += 2 * step, out += 2 * out_c) {
            add_taps(block, rows, &columns, start, start + step, sums);
            store(block, sums, out, out + out_c);
        }
    }
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_conv_t *conv = &layer->as.conv;
    const whir_nn_window_t *win = &conv->window;
    uint32_t length = (uint32_t)win->k_h * win->k_w * win->in_c; /* of a channel's weights */
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    block_t block;

    block.layer = layer;
    block.range = whir_nn_range_of(layer);
    for (uint32_t c = 0; c < win->out_c; c += LANES) {
        block.count = win->out_c - c < LANES ? win->out_c - c : LANES;
        for (uint32_t r = 0; r < LANES; r++) {
            uint32_t channel = c + (r < block.count ? r : block.count - 1);

            block.rows[r] = (const int8_t *)(nn->model + conv->weights.data) + channel * length;
            whir_nn_channel_load(nn->model, &conv->weights, channel, &block.channels[r]);
        }
        for (uint32_t y = 0; y < win->out_h; y++) {
            whir_nn_taps_t taps = whir_nn_taps(y, win->stride_h, win->pad_h, win->dilation_h, win->k_h, win->in_h);

            run_line(&block, &taps, in, out + y * win->out_w * win->out_c + c);
        }
    }
}

const whir_nn_op_t whir_nn_op_conv = {3, OPTIONS, 1, WHIR_NN_LAYER_BYTES(conv), read, run, NULL};
