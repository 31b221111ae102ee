#include "nn_channels.h"
#include "nn_dot.h"

#define BIAS_INPUT 2

/* No factor that cannot be applied. */
static bool are_valid(const uint8_t *scales, const whir_nn_ratio_t *ratio, uint32_t count)
{
    for (; count != 0; count--, scales += 4) {
        uint32_t bits = whir_fb_load(scales);

        /* a factor far from the limit need not be worked out to know that it is one */
        if (!whir_nn_real_is_valid(bits) ||
            ((int32_t)(bits >> 23) > 155 - ratio->exponent && whir_nn_ratio_factor(ratio, whir_nn_real(bits)).shift > 30)) {
            return false;
        }
    }
    return true;
}

int whir_nn_channels_read(whir_nn_reader_t *reader, whir_nn_layer_t *layer, whir_nn_weights_t *weights,
                          const whir_nn_tensor_t *tensor, uint32_t count, const whir_nn_tensor_t *input,
                          const whir_nn_tensor_t *output)
{
    uint32_t factors = tensor->scales.count;
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
    reader->channels += count;
    if (reader->channels > UINT16_MAX) {
        return WHIR_ERR_SPACE;
    }
    layer->channels_before = (uint16_t)reader->channels;
    weights->data = tensor->data;
    weights->bias = bias.data;
    weights->scales = tensor->scales.at;
    weights->ratio = whir_nn_ratio(input->scale, output->scale);
    weights->per_channel = factors > 1;
    return are_valid(reader->fb.data + weights->scales, &weights->ratio, factors) ? 0 : WHIR_ERR_NN_QUANT;
}

bool whir_nn_channels_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, const whir_nn_weights_t *weights,
                            uint32_t bytes, uint32_t count)
{
    uint32_t scales = weights->per_channel ? count : 1;

    return whir_nn_bounds_inside(weights->data, bytes, bounds->model_bytes) &&
           (weights->bias == 0 || whir_nn_bounds_words(bounds, weights->bias, count)) &&
           whir_nn_bounds_words(bounds, weights->scales, scales) && count <= layer->channels_before &&
           layer->channels_before <= bounds->channels && (uint32_t)weights->ratio.exponent + 512 < 1024 &&
           are_valid(bounds->model + weights->scales, &weights->ratio, scales);
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
