#ifndef WHIR_NN_STATE_H
#define WHIR_NN_STATE_H

#include <stdint.h>

/*
 * State of one engine. The arena holds one record per computing layer, then the tensors laid over each other by life span.
 */
struct whir_nn {
    const uint8_t *model;
    uint32_t model_bytes;
    uint8_t *arena; /* NULL until bound */
    uint32_t arena_bytes;
    uint32_t error_at; /* operator, or file offset for WHIR_ERR_NN_SCHEMA, of the last error */
    uint32_t input_at; /* offsets in the arena */
    uint32_t output_at;
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t layer_count; /* records at the start of the arena */
};

typedef struct whir_nn whir_nn_t;

#endif
