#ifndef WHIR_NN_PLACES_H
#define WHIR_NN_PLACES_H

#include <stdint.h>

/* Where the tensors lie in the arena: over each other, as far as they are not in use at the same time. */

#define WHIR_NN_SAME_PLACE UINT16_MAX

/* A tensor that lives in the arena: the model's input (0), or the output of operator i (i + 1). */
typedef struct whir_nn_value {
    uint32_t bytes;
    uint32_t at;     /* offset behind nn->arena; set by whir_nn_place_values */
    uint16_t tensor; /* index in the model */
    uint16_t gap;    /* how far before the root that it may take over it must begin, or WHIR_NN_SAME_PLACE */
    uint8_t root;    /* the value whose memory this one shares (itself, unless it is only another shape of the root) */
    uint8_t over;    /* the root whose memory this one may take over (itself: none) */
    uint8_t last;    /* value of the last operator that uses the memory; set on roots */
} whir_nn_value_t;

/* Gives every value its place; the bytes needed for all, a multiple of 4. */
uint32_t whir_nn_place_values(whir_nn_value_t *values, uint32_t count);

#endif
