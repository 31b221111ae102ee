#ifndef WHIR_NN_CONV_COMMON_H
#define WHIR_NN_CONV_COMMON_H

#include "nn_channels.h"
#include "nn_window.h"

/* What CONV_2D and DEPTHWISE_CONV_2D share. */

int whir_nn_conv_read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                      whir_nn_layer_t *layer, uint32_t depthwise);
bool whir_nn_conv_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, uint32_t depthwise);

#ifdef WHIR_NN_SMALL
/* Either of them, one sum at a time. */
void whir_nn_conv_run(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t depthwise);
#endif

#endif
