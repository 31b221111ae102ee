#ifndef WHIR_NN_BOUNDS_H
#define WHIR_NN_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

/* What the records of a plan that came with the file are held against. */
typedef struct whir_nn_bounds {
    const uint8_t *model;
    uint32_t model_bytes;
    uint32_t tensor_bytes;
    uint16_t channels;
} whir_nn_bounds_t;

struct whir_nn_layer;

/* a * b * c; 0 when that is more than a tensor may have. */
uint32_t whir_nn_bounds_product(uint32_t a, uint32_t b, uint32_t c);
/* At least one byte, and all of them below `end`. */
bool whir_nn_bounds_inside(uint32_t at, uint32_t bytes, uint32_t end);
/* An input that may be in the model. */
bool whir_nn_bounds_input(const whir_nn_bounds_t *bounds, uint32_t at, uint32_t bytes);
/* Input and output of a layer, both behind nn->arena. */
bool whir_nn_bounds_both(const whir_nn_bounds_t *bounds, const struct whir_nn_layer *layer, uint32_t in_bytes,
                         uint32_t out_bytes);
/* The same, and at the same place, or apart. */
bool whir_nn_bounds_layer(const whir_nn_bounds_t *bounds, const struct whir_nn_layer *layer, uint32_t in_bytes,
                          uint32_t out_bytes);
/* The output has no byte of the input. */
bool whir_nn_bounds_apart(const struct whir_nn_layer *layer, uint32_t in_bytes, uint32_t out_bytes);
/* Words in the model. */
bool whir_nn_bounds_words(const whir_nn_bounds_t *bounds, uint32_t at, uint32_t count);

#endif
