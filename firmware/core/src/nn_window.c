#include "nn_window.h"

#include "nn_dot.h"

enum { PADDING_SAME = 0, PADDING_VALID = 1 };

/* One axis: checks the output size and gives the padding before the first element. */
static int fit_axis(uint8_t padding, uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t dilation,
                    uint16_t *pad)
{
    uint32_t reach = (kernel - 1) * dilation + 1; /* below 2^32 for 16-bit values */
    uint32_t fits = 0, covered;

    if (padding == PADDING_SAME) {
        fits = (in + stride - 1) / stride;
    } else if (in >= reach) {
        fits = (in - reach) / stride + 1;
    }
    if (fits != out || reach > WHIR_NN_DIM_MAX) {
        return WHIR_ERR_NN_SHAPE;
    }
    covered = (out - 1) * stride + reach;
    *pad = (uint16_t)(covered > in ? (covered - in) / 2 : 0);
    return 0;
}

int whir_nn_window_fit(whir_nn_window_t *window, uint8_t padding, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output)
{
    int err;

    if (padding > PADDING_VALID) {
        return WHIR_ERR_NN_OPTION;
    }
    if (input->rank != 4 || output->rank != 4 || input->dims[0] != 1 || output->dims[0] != 1) {
        return WHIR_ERR_NN_SHAPE;
    }
    window->in_h = input->dims[1];
    window->in_w = input->dims[2];
    window->in_c = input->dims[3];
    window->out_h = output->dims[1];
    window->out_w = output->dims[2];
    window->out_c = output->dims[3];
    err = fit_axis(padding, window->in_h, window->out_h, window->k_h, window->stride_h, window->dilation_h, &window->pad_h);
    if (err < 0) {
        return err;
    }
    return fit_axis(padding, window->in_w, window->out_w, window->k_w, window->stride_w, window->dilation_w, &window->pad_w);
}

static bool axis_is_valid(uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad)
{
    uint32_t reach = (kernel - 1) * dilation + 1; /* below 2^32, as above */

    return kernel != 0 && stride != 0 && dilation != 0 && reach <= WHIR_NN_DIM_MAX && pad < reach && (out - 1) * stride < in;
}

bool whir_nn_window_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, const whir_nn_window_t *window)
{
    /* they may overlap: see WHIR_NN_SLIDES */
    return whir_nn_bounds_both(bounds, layer, whir_nn_bounds_product(window->in_h, window->in_w, window->in_c),
                               whir_nn_bounds_product(window->out_h, window->out_w, window->out_c)) &&
           axis_is_valid(window->in_h, window->out_h, window->k_h, window->stride_h, window->dilation_h, window->pad_h) &&
           axis_is_valid(window->in_w, window->out_w, window->k_w, window->stride_w, window->dilation_w, window->pad_w);
}

int whir_nn_window_option(whir_nn_reader_t *reader, uint32_t field, uint32_t absent, uint16_t *value)
{
    uint32_t option = whir_fb_get_u32(&reader->fb, reader->options, field, absent);

    *value = (uint16_t)option;
    return option >= 1 && option <= WHIR_NN_DIM_MAX ? 0 : WHIR_ERR_NN_OPTION;
}

uint32_t whir_nn_window_sum(const whir_nn_window_t *win, const whir_nn_taps_t *rows, const whir_nn_taps_t *columns,
                            const int8_t *x, const int8_t *w, uint32_t length, uint32_t tap, int32_t zero_point)
{
    uint32_t taps = columns->end - columns->first, sum = 0;

    w += columns->first * tap;
    if (length == tap && length == win->in_c &&
        win->dilation_w == 1) { /* what a row of the kernel meets lies beside each other */
        length *= taps;
        taps = taps != 0;
    }
    for (uint32_t ky = rows->first; ky < rows->end; ky++, x += (uint32_t)win->dilation_h * win->in_w * win->in_c) {
        for (uint32_t i = 0; i < taps; i++) {
            sum += whir_nn_dot(x + i * win->dilation_w * win->in_c, w + (ky * win->k_w + i) * tap, length, zero_point);
        }
    }
    return sum;
}
