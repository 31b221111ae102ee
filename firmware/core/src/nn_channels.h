#ifndef WHIR_NN_CHANNELS_H
#define WHIR_NN_CHANNELS_H

#include "nn_fixed.h"
#include "nn_layer.h"

/* What turns the sum of one output channel into its byte. */
typedef struct whir_nn_channel {
    int32_t bias;
    uint32_t multiplier; /* twice that of the factor: products lose 32 bits, and a half word is nothing to shift */
    int32_t shift;
} whir_nn_channel_t;

/* Checks scales and bias (input 2 of the operator, optional) of `count` channels and keeps where they are. */
int whir_nn_channels_read(whir_nn_reader_t *reader, whir_nn_weights_t *weights, const whir_nn_tensor_t *tensor, uint32_t count,
                          const whir_nn_tensor_t *input, const whir_nn_tensor_t *output);

/* Works channel `c` out from the scales in the model: nothing of it is kept in RAM. */
void whir_nn_channel_load(const uint8_t *model, const whir_nn_weights_t *weights, uint32_t c, whir_nn_channel_t *channel);

/* sum * multiplier / 2^32, rounded to nearest, halves upwards. */
static inline int32_t whir_nn_channel_high_mul(int32_t sum, uint32_t multiplier)
{
    int64_t product = (int64_t)sum * multiplier;

    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
}

/* What is the same for all bytes of a layer's output; a copy, as stores of bytes would make the compiler read it again. */
typedef struct whir_nn_range {
    int32_t zero_point, low, high;
} whir_nn_range_t;

static inline whir_nn_range_t whir_nn_range_of(const whir_nn_layer_t *layer)
{
    whir_nn_range_t range = {layer->output_zero_point, layer->low, layer->high};

    return range;
}

/* The output byte of a sum with the bias in it. */
static inline int32_t whir_nn_channel_byte(whir_nn_channel_t channel, whir_nn_range_t range, uint32_t sum)
{
    int32_t value;

    if (channel.shift < 0) {
        /* both roundings as in whir_nn_scale; the second, halves away from zero, in two shifts */
        value = whir_nn_channel_high_mul((int32_t)sum, channel.multiplier);
        value = (((value + (value >> 31)) >> (-channel.shift - 1)) + 1) >> 1;
    } else {
        value = whir_nn_channel_high_mul((int32_t)(sum << channel.shift), channel.multiplier);
    }
    value += range.zero_point;
    value = value < range.low ? range.low : value;
    return value > range.high ? range.high : value;
}

#endif
