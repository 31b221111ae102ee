#include "nn_layer.h"

/* Operators that give the same bytes another shape: the output's shape in the model says which. */

static int read(whir_nn_reader_t *reader, whir_nn_layer_t *layer)
{
    whir_nn_tensor_t input, output;
    int err;

    (void)layer;
    if ((err = whir_nn_tensor_activation(reader, whir_nn_reader_input(reader, 0), &input, 0)) < 0 ||
        (err = whir_nn_tensor_activation(reader, whir_nn_reader_output(reader), &output, 0)) < 0) {
        return err;
    }
    return input.elements == output.elements ? 0 : WHIR_ERR_NN_SHAPE;
}

const whir_nn_op_t whir_nn_op_reshape = {22, 0, 1, read, 0};
const whir_nn_op_t whir_nn_op_squeeze = {43, 0, 1, read, 0};
const whir_nn_op_t whir_nn_op_expand_dims = {70, 0, 1, read, 0};
