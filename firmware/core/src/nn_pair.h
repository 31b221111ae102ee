#ifndef WHIR_NN_PAIR_H
#define WHIR_NN_PAIR_H

#include "nn_fixed.h"
#include "nn_layer.h"

/* What ADD and MUL share. */

/*
 * Reads the second operand and the fused activation, option 0 of the operator. Operands fit when their elements repeated give
 * the output: the same shape, one element, a channel vector, or whatever lacks only leading axes.
 */
int whir_nn_pair_read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                      whir_nn_layer_t *layer, whir_nn_tensor_t *second);

bool whir_nn_pair_check(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer);

/* The output before its zero point, from operands without theirs. */
typedef int32_t whir_nn_pair_combine_t(const whir_nn_pair_t *pair, int32_t a, int32_t b);

static inline void whir_nn_pair_run(const whir_nn_t *nn, const whir_nn_layer_t *layer, whir_nn_pair_combine_t *combine)
{
    const whir_nn_pair_t *pair = &layer->as.pair;
    const int8_t *a = whir_nn_input_at(nn, layer->input), *b = whir_nn_input_at(nn, pair->second);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    uint32_t j = 0, k = 0;

    for (uint32_t i = 0; i < pair->count; i++) {
        int32_t value = combine(pair, a[j] - layer->input_zero_point, b[k] - pair->second_zero_point);

        out[i] = whir_nn_clamp(whir_nn_add(value, layer->output_zero_point), layer->low, layer->high);
        j = j + 1 < pair->counts[0] ? j + 1 : 0;
        k = k + 1 < pair->counts[1] ? k + 1 : 0;
    }
}

#endif
