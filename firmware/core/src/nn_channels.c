#include "nn_channels.h"

#include <stddef.h>

#include "whir/bytes.h"

#define BIAS_INPUT 2

static uint32_t table_bytes(uint32_t count, uint32_t factors)
{
    return 4 * count + 4 * factors + ((factors + 3) & ~3u);
}

static int factor_of(whir_nn_reader_t *reader, const whir_nn_weights_t *weights, uint32_t i, whir_nn_real_t input_scale,
                     whir_nn_real_t output_scale, whir_nn_factor_t *factor)
{
    whir_nn_real_t scale;
    int err = whir_nn_tensor_scale(reader, &weights->tensor, i, &scale);

    if (err < 0) {
        return err;
    }
    return whir_nn_factor(input_scale, scale, output_scale, factor) ? 0 : WHIR_ERR_NN_QUANT;
}

/* Wraps like the 32-bit accumulator that it becomes part of. */
static int32_t fold_bias(const uint8_t *model, const whir_nn_weights_t *weights, uint32_t channel, uint32_t bias,
                         int32_t zero_point)
{
    const int8_t *weight = (const int8_t *)(model + weights->tensor.data) + (size_t)channel * weights->channel_stride;
    int32_t sum = 0;

    if (zero_point == 0) {
        return (int32_t)bias;
    }
    for (uint32_t i = 0; i < weights->per_channel; i++) {
        sum += *weight;
        weight += weights->weight_stride;
    }
    return (int32_t)(bias - (uint32_t)zero_point * (uint32_t)sum);
}

int whir_nn_channels_read(whir_nn_reader_t *reader, whir_nn_layer_t *layer, const whir_nn_weights_t *weights,
                          whir_nn_real_t input_scale, whir_nn_real_t output_scale)
{
    const uint8_t *model = reader->fb.data;
    uint32_t factors = weights->tensor.scales.count;
    int32_t bias_index = whir_nn_reader_input(reader, BIAS_INPUT);
    whir_nn_tensor_t bias;
    whir_nn_factor_t factor;
    int32_t *table = (int32_t *)(void *)reader->table;
    int err;

    bias.data = 0;
    if (bias_index >= 0) {
        err = whir_nn_tensor_constant(reader, bias_index, WHIR_NN_TYPE_INT32, &bias);
        if (err < 0) {
            return err;
        }
        if (bias.elements != weights->count) {
            return WHIR_ERR_NN_SHAPE;
        }
    }
    if ((factors != 1 && factors != weights->count) || weights->tensor.zero_point != 0) {
        return WHIR_ERR_NN_QUANT;
    }
    layer->per_channel = factors > 1;
    layer->weights = weights->tensor.data;
    reader->table_bytes = table_bytes(weights->count, factors);
    for (uint32_t i = 0; i < factors; i++) {
        err = factor_of(reader, weights, i, input_scale, output_scale, &factor);
        if (err < 0) {
            return err;
        }
        if (table != NULL) {
            table[weights->count + i] = factor.multiplier;
            ((int8_t *)(table + weights->count + factors))[i] = (int8_t)factor.shift;
        }
    }
    for (uint32_t c = 0; table != NULL && c < weights->count; c++) {
        table[c] =
            fold_bias(model, weights, c, bias.data != 0 ? whir_le32(model + bias.data + 4 * c) : 0, layer->input_zero_point);
    }
    return 0;
}

void whir_nn_channels_store(const whir_nn_channels_t *channels, const whir_nn_layer_t *layer, uint32_t first, uint32_t count,
                            const int32_t *sums, int8_t *out)
{
    const int32_t *multiplier = channels->multiplier + first * channels->step;
    const int8_t *shift = channels->shift + first * channels->step;

    for (uint32_t i = 0; i < count; i++, multiplier += channels->step, shift += channels->step) {
        out[i] = whir_nn_clamp(whir_nn_scale(sums[i], *multiplier, *shift) + layer->output_zero_point, layer->low, layer->high);
    }
}
