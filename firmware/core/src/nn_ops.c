#include "nn_ops.h"

#include "nn_layer.h"

/* The operators of this build. */
#ifndef WHIR_NN_OPS
#define WHIR_NN_OPS WHIR_NN_EVERY_OP
#endif

#define READING(name) [WHIR_NN_OP_##name] = &whir_nn_reading_##name,
#define CHECKING(name) [WHIR_NN_OP_##name] = whir_nn_check_##name,
#define RUNNING(name) [WHIR_NN_OP_##name] = &whir_nn_op_##name,

const whir_nn_reading_t *const whir_nn_readings[] = {WHIR_NN_OPS(READING)};
whir_nn_checking_t *const whir_nn_checkings[] = {WHIR_NN_OPS(CHECKING)};
const whir_nn_op_t *const whir_nn_ops[] = {WHIR_NN_OPS(RUNNING)};
const uint8_t whir_nn_op_count = sizeof whir_nn_ops / sizeof whir_nn_ops[0];

int whir_nn_op_find(uint32_t code)
{
    for (int i = 0; i < whir_nn_op_count; i++) {
        if (whir_nn_readings[i] != NULL && whir_nn_readings[i]->code == code) {
            return i;
        }
    }
    return -1;
}
