#ifndef WHIR_NN_STATE_H
#define WHIR_NN_STATE_H

#include <stdint.h>

/*
 * State of one engine. One record per computing layer says what is run; the tensors are laid over each other by life span.
 */
struct whir_nn {
    const uint8_t *model;
    uint32_t model_bytes;
    const uint8_t *records; /* at the start of the arena, or in a planned file; NULL until bound */
    uint8_t *arena;         /* where the tensors begin */
    uint32_t arena_bytes;   /* needed, from its start */
    uint32_t error_at;      /* operator, or file offset for WHIR_ERR_NN_SCHEMA, of the last error */
    uint32_t input_at;      /* offsets behind `arena` */
    uint32_t output_at;
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t layer_count;
};

typedef struct whir_nn whir_nn_t;

#endif
