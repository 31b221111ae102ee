#ifndef WHIR_NN_CONV_COMMON_H
#define WHIR_NN_CONV_COMMON_H

#include <stddef.h>

#include "nn_channels.h"
#include "nn_window.h"

/*
 * What CONV_2D and DEPTHWISE_CONV_2D share: they are read alike, and walk over the places of the output alike.
 *
 * The padding stands for the input's zero point. The bias table has -zero point * weight in it for every weight, so a tap that
 * falls outside counts as zero point * weight, which takes it out again: the reference leaves such taps out.
 */

/* The taps of one place of the output: rows and columns, and whether all of them are inside. */
typedef struct whir_nn_place {
    whir_nn_taps_t rows, columns;
    int whole;
} whir_nn_place_t;

/* Computes all output channels at one place; `in` and `w` begin at the input and the weights. */
typedef void whir_nn_place_run_t(const whir_nn_layer_t *layer, const whir_nn_channels_t *channels, const whir_nn_place_t *place,
                                 const int8_t *in, const int8_t *w, int8_t *out);

int whir_nn_conv_read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                      whir_nn_layer_t *layer, int depthwise);
void whir_nn_conv_run(const whir_nn_t *nn, const whir_nn_layer_t *layer, whir_nn_place_run_t *run);

/* The input below tap (ky, kx), or NULL when it falls outside. */
static inline const int8_t *whir_nn_conv_tap(const whir_nn_window_t *win, const whir_nn_place_t *place, const int8_t *in,
                                             uint32_t ky, uint32_t kx)
{
    int32_t y = place->rows.origin + (int32_t)(ky * win->dilation_h);
    int32_t x = place->columns.origin + (int32_t)(kx * win->dilation_w);

    if (ky < place->rows.first || ky >= place->rows.end || kx < place->columns.first || kx >= place->columns.end) {
        return NULL;
    }
    return in + ((uint32_t)y * win->in_w + (uint32_t)x) * win->in_c;
}

#endif
