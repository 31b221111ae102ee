#ifndef WHIR_NN_CHANNELS_H
#define WHIR_NN_CHANNELS_H

#include "nn_fixed.h"
#include "nn_layer.h"

/*
 * Channel table of a layer with weights, in the arena: `count` biases (int32) into which -zero point * sum of the channel's
 * weights is folded, then multipliers (int32), then shifts (int8): one of each per channel, or one for all.
 */
typedef struct whir_nn_channels {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    uint32_t step; /* 1 = a multiplier per channel, 0 = one for all */
} whir_nn_channels_t;

/* How the weights of a layer lie: weight i of channel c is at c * channel_stride + i * weight_stride. */
typedef struct whir_nn_weights {
    whir_nn_tensor_t tensor;
    uint32_t count;
    uint32_t per_channel;
    uint32_t channel_stride;
    uint32_t weight_stride;
} whir_nn_weights_t;

/* Checks scales and bias (input 2 of the operator, optional) and, once the arena is bound, fills the table. */
int whir_nn_channels_read(whir_nn_reader_t *reader, whir_nn_layer_t *layer, const whir_nn_weights_t *weights,
                          whir_nn_real_t input_scale, whir_nn_real_t output_scale);

static inline whir_nn_channels_t whir_nn_channels_of(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t count)
{
    whir_nn_channels_t channels;
    uint32_t factors = layer->per_channel ? count : 1;

    channels.bias = (const int32_t *)(const void *)(nn->arena + layer->table);
    channels.multiplier = channels.bias + count;
    channels.shift = (const int8_t *)(channels.multiplier + factors);
    channels.step = layer->per_channel;
    return channels;
}

/* Turns the sums (bias included) of `count` channels from `first` on into output bytes. */
void whir_nn_channels_store(const whir_nn_channels_t *channels, const whir_nn_layer_t *layer, uint32_t first, uint32_t count,
                            const int32_t *sums, int8_t *out);

#endif
