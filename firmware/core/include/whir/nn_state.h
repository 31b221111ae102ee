#ifndef WHIR_NN_STATE_H
#define WHIR_NN_STATE_H

#include <stdint.h>

/* A tensor that lives in the arena: the model's input, or an operator's output. */
typedef struct whir_nn_value {
    uint32_t bytes;
    uint32_t at;     /* offset in the arena */
    uint16_t tensor; /* index in the model */
    uint8_t root;    /* the value whose memory this one shares (itself, unless it is only another shape of the root) */
    uint8_t first;   /* operators from which and up to which the memory is in use; set on roots */
    uint8_t last;
} whir_nn_value_t;

/*
 * State of one engine. The arena holds, in this order: one record per computing layer, the layers' channel tables (bias with
 * the input's zero point folded in, multiplier and shift of each output channel), the tensors laid over each other by life
 * span.
 */
struct whir_nn {
    const uint8_t *model;
    uint32_t model_bytes;
    uint8_t *arena;    /* NULL until bound */
    uint32_t error_at; /* operator, or file offset for WHIR_ERR_NN_SCHEMA, of the last error */
    uint32_t tables_at;
    uint32_t arena_bytes;
    uint8_t layer_count; /* records at the start of the arena */
    uint8_t output;      /* index in values */
    uint8_t value_count;
    whir_nn_value_t values[WHIR_NN_LAYERS_MAX + 1];
};

typedef struct whir_nn whir_nn_t;

#endif
