#include "nn_channels.h"
#include "nn_dot.h"

#define BIAS_INPUT 2

int whir_nn_channels_read(whir_nn_reader_t *reader, whir_nn_layer_t *layer, whir_nn_weights_t *weights,
                          const whir_nn_tensor_t *tensor, uint32_t count, const whir_nn_tensor_t *input,
                          const whir_nn_tensor_t *output)
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
#ifdef WHIR_NN_FAST
    if (count > WHIR_NN_CHANNELS_MAX) {
        return WHIR_ERR_SPACE;
    }
    layer->bytes = (uint16_t)(layer->bytes + count * sizeof(whir_nn_channel_t));
#else
    (void)layer;
#endif
    weights->data = tensor->data;
    weights->bias = bias.data;
    weights->scales = tensor->scales.at;
    weights->ratio = whir_nn_ratio(input->scale, output->scale);
    weights->per_channel = factors > 1;
    for (uint32_t i = 0; i < factors; i++) {
        uint32_t bits = whir_fb_load(reader->fb.data + tensor->scales.at + 4 * i);

        /* a factor far from the limit need not be worked out to know that it is one */
        if (!whir_nn_real_is_valid(bits) ||
            ((int32_t)(bits >> 23) > 150 - exponent && whir_nn_ratio_factor(&weights->ratio, whir_nn_real(bits)).shift > 30)) {
            return WHIR_ERR_NN_QUANT;
        }
    }
    return 0;
}

whir_nn_channel_t whir_nn_channel_load(const uint8_t *model, const whir_nn_weights_t *weights, uint32_t c)
{
    uint32_t bits = whir_fb_load(model + weights->scales + (weights->per_channel ? 4 * c : 0));
    whir_nn_factor_t factor = whir_nn_ratio_factor(&weights->ratio, whir_nn_real(bits));
    whir_nn_channel_t channel;

    channel.multiplier = (uint32_t)factor.multiplier << 1;
    channel.right = ~factor.shift;
    channel.bias = whir_nn_channel_bias(model, weights, c);
    return channel;
}

whir_nn_channel_t whir_nn_channel_fold(const whir_nn_t *nn, const whir_nn_layer_t *layer, const whir_nn_weights_t *weights,
                                       uint32_t c, uint32_t length)
{
    whir_nn_channel_t channel = whir_nn_channel_load(nn->model, weights, c);
    const int8_t *w = (const int8_t *)(nn->model + weights->data) + c * length;
    const int8_t *end = w + length, *last = w + (length & ~(COLUMNS - 1));
    int32_t sum = 0;

#define COLUMN(i)                                                                                                              \
    sum += w[i];                                                                                                               \
    WHIR_NN_KEEP(sum)
    for (; w != last; w += COLUMNS) {
        UNROLLED(COLUMN)
    }
    for (; w != end; w++) {
        COLUMN(0)
    }
#undef COLUMN
    channel.bias = (int32_t)((uint32_t)channel.bias - (uint32_t)sum * (uint32_t)layer->input_zero_point);
    return channel;
}
