#include "nn_layer.h"

/*
 * The operators of this build. A build for known models may name fewer, to save flash:
 * -DWHIR_NN_OPS="&whir_nn_op_fully_connected, &whir_nn_op_softmax"
 */
#ifndef WHIR_NN_OPS
#define WHIR_NN_OPS                                                                                                            \
    &whir_nn_op_fully_connected, &whir_nn_op_softmax, &whir_nn_op_reshape, &whir_nn_op_conv, &whir_nn_op_depthwise_conv,       \
        &whir_nn_op_mean, &whir_nn_op_average_pool, &whir_nn_op_max_pool, &whir_nn_op_expand_dims, &whir_nn_op_squeeze,        \
        &whir_nn_op_add, &whir_nn_op_mul, &whir_nn_op_concatenation, &whir_nn_op_pad, &whir_nn_op_quantize, &whir_nn_op_relu,  \
        &whir_nn_op_relu6, &whir_nn_op_logistic
#endif

const whir_nn_op_t *const whir_nn_ops[] = {WHIR_NN_OPS, NULL};
