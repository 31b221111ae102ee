#ifndef WHIR_NN_OPS_H
#define WHIR_NN_OPS_H

/*
 * Every operator that the engine has. The order is that of whir_nn_op_index, which stands in plans: new ones come last. What
 * most models have comes first, so that tables of a build for one model are short.
 *
 * A build for known models may name fewer, to save flash: -D'WHIR_NN_OPS(OP)=OP(fully_connected) OP(softmax)'
 */
#define WHIR_NN_EVERY_OP(OP)                                                                                                   \
    OP(fully_connected)                                                                                                        \
    OP(softmax)                                                                                                                \
    OP(reshape)                                                                                                                \
    OP(conv)                                                                                                                   \
    OP(depthwise_conv)                                                                                                         \
    OP(mean)                                                                                                                   \
    OP(average_pool)                                                                                                           \
    OP(max_pool)                                                                                                               \
    OP(expand_dims)                                                                                                            \
    OP(squeeze)                                                                                                                \
    OP(add)                                                                                                                    \
    OP(mul)                                                                                                                    \
    OP(concatenation)                                                                                                          \
    OP(pad)                                                                                                                    \
    OP(quantize)                                                                                                               \
    OP(relu)                                                                                                                   \
    OP(relu6)                                                                                                                  \
    OP(logistic)

#define WHIR_NN_NUMBER(name) WHIR_NN_OP_##name,
enum whir_nn_op_index { WHIR_NN_EVERY_OP(WHIR_NN_NUMBER) WHIR_NN_OP_COUNT };

#endif
