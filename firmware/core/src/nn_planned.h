#ifndef WHIR_NN_PLANNED_H
#define WHIR_NN_PLANNED_H

#include "whir/contract.h"
#include "whir/nn.h"

/* "WNP1"; another number when a record changes. */
#define WHIR_NN_PLANNED_MAGIC UINT32_C(0x31504e57)

/*
 * A plan is the records of the computing layers, in order, and this behind them. It is made from the model's FlatBuffer; or it
 * stands, made earlier, at the end of the model's file, where whoever reads the FlatBuffer does not look.
 */
typedef struct whir_nn_planned {
    uint32_t records_bytes;
    uint32_t tensor_bytes; /* of the arena, a multiple of 4 */
    uint32_t input_at, input_bytes;
    uint32_t output_at, output_bytes;
    uint32_t input_scale_bits, output_scale_bits;
    int8_t input_zero_point, output_zero_point;
    uint16_t layer_count;
    uint16_t channels; /* of all layers with weights */
    uint16_t reserved; /* 0 */
    uint32_t magic;
} whir_nn_planned_t;

/*
 * Makes the plan of a model (4-byte aligned, else WHIR_ERR_ARG). Records that fit go to `records`, and are good when all do.
 * 0 or WHIR_ERR_NN_… with the place in *error_at.
 */
int whir_nn_lay(whir_nn_planned_t *planned, uint8_t *records, uint32_t room, const uint8_t *model, uint32_t model_bytes,
                uint32_t *error_at);

/* Makes nn, which has its model, ready to run a plan. When the records are in the arena itself they are at its start. */
int whir_nn_start(whir_nn_t *nn, const whir_nn_planned_t *planned, const uint8_t *records, uint8_t *arena, uint32_t arena_bytes,
                  whir_model_info_t *info);

#endif
