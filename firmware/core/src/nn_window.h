#ifndef WHIR_NN_WINDOW_H
#define WHIR_NN_WINDOW_H

#include "nn_layer.h"

/* The taps of one axis that fall inside the input, and where the first one reads. */
typedef struct whir_nn_taps {
    int32_t origin; /* input position of tap 0, negative in the padding */
    uint32_t first, end;
} whir_nn_taps_t;

/* Offset in the input of what lies below the first tap inside. */
static inline uint32_t whir_nn_taps_start(const whir_nn_window_t *win, const whir_nn_taps_t *rows,
                                          const whir_nn_taps_t *columns)
{
    uint32_t top = (uint32_t)rows->origin + rows->first * win->dilation_h;
    uint32_t left = (uint32_t)columns->origin + columns->first * win->dilation_w;

    return (top * win->in_w + left) * win->in_c;
}

/*
 * Fills the window from input and output shape (batch 1), kernel, strides and dilations set before, and the padding option;
 * the output's height and width must be what the window gives.
 */
int whir_nn_window_fit(whir_nn_window_t *window, uint8_t padding, const whir_nn_tensor_t *input,
                       const whir_nn_tensor_t *output);

/* A window in a plan: input and output, and every place begins inside the input, or so far before it that it reaches it. */
bool whir_nn_window_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, const whir_nn_window_t *window);

/* Reads an option that must be 1..65535; `absent` is the schema's default. */
int whir_nn_window_option(whir_nn_reader_t *reader, uint32_t field, uint32_t absent, uint16_t *value);

static inline whir_nn_taps_t whir_nn_taps(uint32_t out, uint32_t stride, uint32_t pad, uint32_t dilation, uint32_t kernel,
                                          uint32_t in)
{
    whir_nn_taps_t taps = {(int32_t)(out * stride) - (int32_t)pad, 0, kernel};
    int32_t last = taps.origin + (int32_t)((kernel - 1) * dilation);

    if (taps.origin < 0) {
        taps.first = ((uint32_t)-taps.origin + dilation - 1) / dilation;
        taps.first = taps.first < kernel ? taps.first : kernel;
    }
    if (last >= (int32_t)in) {
        taps.end = taps.origin >= (int32_t)in ? 0 : ((uint32_t)((int32_t)in - taps.origin) + dilation - 1) / dilation;
    }
    if (taps.end < taps.first) {
        taps.end = taps.first;
    }
    return taps;
}

/* From place `out` on, how many have the same taps inside as it has: all those beside it when none is missing, or 1. */
static inline uint32_t whir_nn_taps_repeated(const whir_nn_window_t *win, const whir_nn_taps_t *columns, uint32_t out)
{
    uint32_t reach = (win->k_w - 1u) * win->dilation_w + 1u, count, rest = win->out_w - out;

    if (columns->end - columns->first != win->k_w) {
        return 1;
    }
    count = (win->in_w - (uint32_t)columns->origin - reach) / win->stride_w + 1;
    return count < rest ? count : rest;
}

/*
 * Adds (x - zero point) * w over the taps inside: `length` products beside each other for each, whose weights are `tap` from
 * one tap to the next. `x` begins below the first tap inside, `w` at tap 0.
 */
uint32_t whir_nn_window_sum(const whir_nn_window_t *win, const whir_nn_taps_t *rows, const whir_nn_taps_t *columns,
                            const int8_t *x, const int8_t *w, uint32_t length, uint32_t tap, int32_t zero_point);

#endif
