#include <string.h>

#include "nn_layer.h"

/* The output's zero point around the input's bytes as they are. */

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_pad_t *pad = &layer->as.pad;
    uint32_t rank = input->rank, absent = WHIR_NN_RANK_MAX - rank;
    whir_nn_tensor_t sides;
    int err = whir_nn_tensor_constant(reader, 1, WHIR_NN_TYPE_INT32, &sides);

    if (err < 0) {
        return err;
    }
    if (sides.rank != 2 || sides.elements != 2 * rank || output->rank != rank) {
        return WHIR_ERR_NN_SHAPE;
    }
    for (uint32_t i = 0; i < WHIR_NN_RANK_MAX; i++) {
        const uint8_t *side = reader->fb.data + sides.data + 8 * (i - absent);

        pad->in[i] = pad->out[i] = 1;
        pad->before[i] = 0;
        if (i >= absent) {
            uint32_t before = whir_fb_load(side), after = whir_fb_load(side + 4);

            pad->in[i] = input->dims[i - absent];
            pad->out[i] = output->dims[i - absent];
            pad->before[i] = (uint16_t)before;
            if (before > WHIR_NN_DIM_MAX || after > WHIR_NN_DIM_MAX || before + pad->in[i] + after != pad->out[i]) {
                return WHIR_ERR_NN_SHAPE;
            }
        }
    }
    return 0;
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_pad_t *pad = &layer->as.pad;
    const int8_t *in = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    uint32_t rows = 1, bytes = 1, piece = pad->in[WHIR_NN_RANK_MAX - 1];

    for (uint32_t i = 0; i < WHIR_NN_RANK_MAX; i++) {
        rows *= pad->in[i];
        bytes *= pad->out[i];
    }
    rows /= piece;
    memset(out, layer->output_zero_point, bytes);
    for (uint32_t row = 0; row < rows; row++, in += piece) {
        uint32_t at = pad->before[WHIR_NN_RANK_MAX - 1], step = pad->out[WHIR_NN_RANK_MAX - 1], rest = row;

        for (uint32_t i = WHIR_NN_RANK_MAX - 1; i-- != 0; rest /= pad->in[i], step *= pad->out[i]) {
            at += (rest % pad->in[i] + pad->before[i]) * step;
        }
        memcpy(out + at, in, piece);
    }
}

bool whir_nn_check_pad(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const whir_nn_pad_t *pad = &layer->as.pad;
    uint32_t in = 1, out = 1;

    for (uint32_t i = 0; i < WHIR_NN_RANK_MAX; i++) {
        if ((uint32_t)pad->before[i] + pad->in[i] > pad->out[i]) {
            return false;
        }
        in = whir_nn_bounds_product(in, pad->in[i], 1);
        out = whir_nn_bounds_product(out, pad->out[i], 1);
    }
    return whir_nn_bounds_layer(bounds, layer, in, out) && layer->input != layer->output;
}

const whir_nn_reading_t whir_nn_reading_pad = {34, 0, 1, read};
const whir_nn_op_t whir_nn_op_pad = {WHIR_NN_LAYER_BYTES(pad), run, NULL};
