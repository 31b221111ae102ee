#ifndef WHIR_NN_CHANNELS_H
#define WHIR_NN_CHANNELS_H

#include "nn_fixed.h"
#include "nn_layer.h"

/* What turns the sum of one output channel into its byte. */
typedef struct whir_nn_channel {
    int32_t bias;
    uint32_t multiplier; /* twice that of the factor: products lose 32 bits, and a half word is nothing to shift */
    int32_t right;       /* how far to the right less 1; its complement is how far to the left when it is negative */
} whir_nn_channel_t;

/* Checks scales and bias (input 2 of the operator, optional) of `count` channels and keeps where they are. */
int whir_nn_channels_read(whir_nn_reader_t *reader, whir_nn_layer_t *layer, whir_nn_weights_t *weights,
                          const whir_nn_tensor_t *tensor, uint32_t count, const whir_nn_tensor_t *input,
                          const whir_nn_tensor_t *output);

/* The weights in a plan: `bytes` of them, for `count` channels. */
bool whir_nn_channels_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, const whir_nn_weights_t *weights,
                            uint32_t bytes, uint32_t count);

static inline int32_t whir_nn_channel_bias(const uint8_t *model, const whir_nn_weights_t *weights, uint32_t c)
{
    return weights->bias != 0 ? (int32_t)whir_fb_load(model + weights->bias + 4 * c) : 0;
}

/* Works channel `c` out from the scales in the model. */
whir_nn_channel_t whir_nn_channel_load(const uint8_t *model, const whir_nn_weights_t *weights, uint32_t c);

/* The same with the bias for sums over x instead of x - zero point; the channel has `length` weights beside each other. */
whir_nn_channel_t whir_nn_channel_fold(const whir_nn_t *nn, const whir_nn_layer_t *layer, const whir_nn_weights_t *weights,
                                       uint32_t c, uint32_t length);

#ifdef WHIR_NN_FAST
/* The layer's channels, worked out once. */
static inline whir_nn_channel_t *whir_nn_channels_of(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    return (whir_nn_channel_t *)(void *)nn->arena - layer->channels_before;
}
#endif

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
static inline int8_t whir_nn_channel_byte(whir_nn_channel_t channel, whir_nn_range_t range, uint32_t sum)
{
    int32_t value;

    if (channel.right >= 0) {
        /* both roundings as in whir_nn_scale; the second, halves away from zero, in two shifts */
        value = whir_nn_high_mul((int32_t)sum, channel.multiplier);
        value = whir_nn_shift_right(value + (value >> 31), channel.right + 1);
    } else {
        WHIR_NN_KEEP(sum) /* shifted here, where it is rare, not above */
        value = whir_nn_high_mul((int32_t)(sum << ~channel.right), channel.multiplier);
    }
    value = whir_nn_add(value, range.zero_point);
    if (value < range.low) {
        value = range.low;
    }
    if (value > range.high) {
        value = range.high;
    }
    WHIR_NN_KEEP(value) /* narrowing it before it is stored takes two more instructions */
    return (int8_t)value;
}

#endif
