#include "nn_channels.h"

#define BIAS_INPUT 2

int whir_nn_channels_read(whir_nn_reader_t *reader, whir_nn_weights_t *weights, const whir_nn_tensor_t *tensor, uint32_t count,
                          const whir_nn_tensor_t *input, const whir_nn_tensor_t *output)
{
    uint32_t factors = tensor->scales.count;
    int32_t exponent = input->scale.exponent - output->scale.exponent;
    whir_nn_tensor_t bias;
    int err;

    bias.data = 0;
    if (whir_nn_reader_input(reader, BIAS_INPUT) >= 0) {
        err = whir_nn_tensor_constant(reader, BIAS_INPUT, WHIR_NN_TYPE_INT32, &bias);
        if (err < 0) {
            return err;
        }
        if (bias.elements != count) {
            return WHIR_ERR_NN_SHAPE;
        }
    }
    if ((factors != 1 && factors != count) || tensor->zero_point != 0) {
        return WHIR_ERR_NN_QUANT;
    }
    weights->data = tensor->data;
    weights->bias = bias.data;
    weights->scales = tensor->scales.at;
    weights->ratio = whir_nn_ratio(input->scale, output->scale);
    weights->per_channel = factors > 1;
    for (uint32_t i = 0; i < factors; i++) {
        uint32_t bits = whir_fb_load(reader->fb.data + tensor->scales.at + 4 * i);
        whir_nn_factor_t factor;

        /* a factor far from the limit need not be worked out to know that it is one */
        if (!whir_nn_real_is_valid(bits) ||
            ((int32_t)(bits >> 23) > 150 - exponent && !whir_nn_ratio_factor(&weights->ratio, whir_nn_real(bits), &factor))) {
            return WHIR_ERR_NN_QUANT;
        }
    }
    return 0;
}

void whir_nn_channel_load(const uint8_t *model, const whir_nn_weights_t *weights, uint32_t c, whir_nn_channel_t *channel)
{
    uint32_t bits = whir_fb_load(model + weights->scales + 4 * (c * weights->per_channel));
    whir_nn_factor_t factor;

    whir_nn_ratio_factor(&weights->ratio, whir_nn_real(bits), &factor);
    channel->multiplier = (uint32_t)factor.multiplier << 1;
    channel->shift = factor.shift;
    channel->bias = weights->bias != 0 ? (int32_t)whir_fb_load(model + weights->bias + 4 * c) : 0;
}
