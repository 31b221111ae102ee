#include "nn_layer.h"

/* Operators that give the same bytes another shape: the output's shape in the model says which. */

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    (void)reader;
    (void)layer;
    return input->elements == output->elements ? 0 : WHIR_ERR_NN_SHAPE;
}

/* They have no records. */
#define VIEW(name, code)                                                                                                       \
    bool whir_nn_check_##name(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)                                    \
    {                                                                                                                          \
        (void)bounds;                                                                                                          \
        (void)layer;                                                                                                           \
        return false;                                                                                                          \
    }                                                                                                                          \
    const whir_nn_reading_t whir_nn_reading_##name = {code, 0, 1, read};                                                       \
    const whir_nn_op_t whir_nn_op_##name = {0, NULL, NULL};

VIEW(reshape, 22)
VIEW(squeeze, 43)
VIEW(expand_dims, 70)
