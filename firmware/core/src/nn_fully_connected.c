#include "nn_channels.h"
#include "nn_dot.h"

enum { OPTION_ACTIVATION = 0, OPTION_WEIGHTS_FORMAT = 1 };

/* BuiltinOptions_FullyConnectedOptions */
#define OPTIONS 8

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_dense_t *dense = &layer->as.dense;
    whir_nn_weights_t weights;
    int err = whir_nn_tensor_constant(reader, whir_nn_reader_input(reader, 1), WHIR_NN_TYPE_INT8, &weights.tensor);

    if (err < 0) {
        return err;
    }
    if (whir_fb_get_u8(&reader->fb, reader->options, OPTION_WEIGHTS_FORMAT, 0) != 0) {
        return WHIR_ERR_NN_OPTION;
    }
    if (weights.tensor.rank != 2) {
        return WHIR_ERR_NN_SHAPE;
    }
    dense->outputs = weights.tensor.dims[0];
    dense->depth = weights.tensor.dims[1];
    dense->rows = input->elements / dense->depth;
    if (output->rank == 0 || output->dims[output->rank - 1] != dense->outputs ||
        dense->rows * dense->depth != input->elements || output->elements / dense->outputs != dense->rows) {
        return WHIR_ERR_NN_SHAPE;
    }
    err = whir_nn_layer_read_activation(reader, OPTION_ACTIVATION, output, layer);
    if (err < 0) {
        return err;
    }
    weights.count = dense->outputs;
    weights.per_channel = dense->depth;
    weights.channel_stride = dense->depth;
    weights.weight_stride = 1;
    return whir_nn_channels_read(reader, layer, &weights, input->scale, output->scale);
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_dense_t *dense = &layer->as.dense;
    whir_nn_channels_t channels = whir_nn_channels_of(nn, layer, dense->outputs);
    const int8_t *x = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    for (uint32_t row = 0; row < dense->rows; row++, x += dense->depth) {
        const int8_t *w = (const int8_t *)(nn->model + layer->weights);
        uint32_t c = 0;

        for (; c + 4 <= dense->outputs; c += 4, w += 4 * (uint32_t)dense->depth, out += 4) {
            int32_t sums[4] = {channels.bias[c], channels.bias[c + 1], channels.bias[c + 2], channels.bias[c + 3]};

            whir_nn_dot4(sums, x, w, dense->depth, dense->depth);
            whir_nn_channels_store(&channels, layer, c, 4, sums, out);
        }
        for (; c < dense->outputs; c++, w += dense->depth, out++) {
            int32_t sum = whir_nn_dot1(channels.bias[c], x, w, dense->depth);

            whir_nn_channels_store(&channels, layer, c, 1, &sum, out);
        }
    }
}

const whir_nn_op_t whir_nn_op_fully_connected = {9, OPTIONS, 1, read, run};
