#include "nn_fixed.h"
#include "nn_window.h"

/* BuiltinOptions_Pool2DOptions */
#define OPTIONS 5

enum {
    OPTION_PADDING = 0,
    OPTION_STRIDE_W = 1,
    OPTION_STRIDE_H = 2,
    OPTION_FILTER_W = 3,
    OPTION_FILTER_H = 4,
    OPTION_ACTIVATION = 5,
};

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_window_t *window = &layer->as.window;
    int err;

    if ((err = whir_nn_window_option(reader, OPTION_STRIDE_W, 0, &window->stride_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_STRIDE_H, 0, &window->stride_h)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_FILTER_W, 0, &window->k_w)) < 0 ||
        (err = whir_nn_window_option(reader, OPTION_FILTER_H, 0, &window->k_h)) < 0) {
        return err;
    }
    window->dilation_h = 1;
    window->dilation_w = 1;
    err = whir_nn_window_fit(window, whir_fb_get_u8(&reader->fb, reader->options, OPTION_PADDING), input, output);
    if (err < 0) {
        return err;
    }
    if (window->in_c != window->out_c) {
        return WHIR_ERR_NN_SHAPE;
    }
    /* Pooling does not rescale. */
    if (!whir_nn_tensor_is_like(input, output)) {
        return WHIR_ERR_NN_QUANT;
    }
    return whir_nn_layer_read_activation(reader, OPTION_ACTIVATION, output, layer);
}

/* The elements of one channel under the window: `in` begins at the channel of the first of them. */
typedef int32_t pool_t(const whir_nn_window_t *win, const int8_t *in, int32_t rows, int32_t columns);

static int32_t average(const whir_nn_window_t *win, const int8_t *in, int32_t rows, int32_t columns)
{
    int32_t sum = 0, count = rows * columns;

    for (int32_t y = 0; y < rows; y++, in += (uint32_t)win->in_w * win->in_c) {
        for (int32_t x = 0; x < columns; x++) {
            sum += in[x * win->in_c];
        }
    }
    /* rounded to nearest, halves away from zero */
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static int32_t largest(const whir_nn_window_t *win, const int8_t *in, int32_t rows, int32_t columns)
{
    int32_t max = -128;

    for (int32_t y = 0; y < rows; y++, in += (uint32_t)win->in_w * win->in_c) {
        for (int32_t x = 0; x < columns; x++) {
            max = in[x * win->in_c] > max ? in[x * win->in_c] : max;
        }
    }
    return max;
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer, pool_t *pool)
{
    const whir_nn_window_t *win = &layer->as.window;
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    for (uint32_t y = 0; y < win->out_h; y++) {
        whir_nn_taps_t rows = whir_nn_taps(y, win->stride_h, win->pad_h, 1, win->k_h, win->in_h);

        for (uint32_t x = 0; x < win->out_w; x++) {
            whir_nn_taps_t columns = whir_nn_taps(x, win->stride_w, win->pad_w, 1, win->k_w, win->in_w);
            const int8_t *start = in + whir_nn_taps_start(win, &rows, &columns);

            for (uint32_t c = 0; c < win->in_c; c++) {
                int32_t value = pool(win, start + c, (int32_t)(rows.end - rows.first), (int32_t)(columns.end - columns.first));

                *out++ = whir_nn_clamp(value, layer->low, layer->high);
            }
        }
    }
}

static bool check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const whir_nn_window_t *window = &layer->as.window;

    /* beside each other: a window without an element has no average */
    return whir_nn_window_check(bounds, layer, window) && window->in_c == window->out_c && window->dilation_h == 1 &&
           window->dilation_w == 1;
}

bool whir_nn_check_average_pool(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return check(bounds, layer);
}

bool whir_nn_check_max_pool(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    return check(bounds, layer);
}

static void run_average(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    run(nn, layer, average);
}

static void run_max(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    run(nn, layer, largest);
}

const whir_nn_reading_t whir_nn_reading_average_pool = {1, OPTIONS, 1 | WHIR_NN_SLIDES, read};
const whir_nn_reading_t whir_nn_reading_max_pool = {17, OPTIONS, 1 | WHIR_NN_SLIDES, read};
const whir_nn_op_t whir_nn_op_average_pool = {WHIR_NN_LAYER_BYTES(window), run_average, NULL};
const whir_nn_op_t whir_nn_op_max_pool = {WHIR_NN_LAYER_BYTES(window), run_max, NULL};
