#ifndef WHIR_NN_H
#define WHIR_NN_H

#include <stdint.h>

#include "whir/port/inference.h"

/*
 * whir_nn: reads a full-int8 .tflite in place and gives TensorFlow Lite Micro's bytes (reference kernels). No heap, no
 * floating point. State and arena are the caller's; two engines may run side by side. The model must stay where it is for
 * as long as the engine is used.
 *
 * -DWHIR_NN_FAST keeps bias, multiplier and shift of every channel in the arena (12 bytes each) instead of working them out at
 * every run. A build for size (-Os, or -DWHIR_NN_SMALL) has one plain loop in place of the blocks of sums.
 */
#define WHIR_NN_LAYERS_MAX 128

#include "whir/nn_state.h"

/* Walks and checks the FlatBuffer (4-byte aligned, else WHIR_ERR_ARG) and plans the arena: fills nn and info, touches no
 * arena. 0 or WHIR_ERR_NN_…; the place (operator index, or offset for schema errors) is in nn->error_at. */
int whir_nn_plan(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, whir_model_info_t *info);
/* Plans and binds in one walk over the model; the arena is 16-byte aligned, else WHIR_ERR_ARG. WHIR_ERR_NN_ARENA when it has
 * fewer than info->arena_bytes, which are set all the same. */
int whir_nn_load(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                 whir_model_info_t *info);
/* Binds an arena (16-byte aligned) of at least info->arena_bytes and writes the layer records into it. WHIR_ERR_NN_ARENA when
 * it is smaller, WHIR_ERR_ARG when it is not aligned or there is no plan. */
int whir_nn_bind(whir_nn_t *nn, uint8_t *arena, uint32_t arena_bytes);
/* The input tensor. A run uses its memory up: fill it before each. */
int8_t *whir_nn_input(whir_nn_t *nn);
const int8_t *whir_nn_output(const whir_nn_t *nn);
/* One inference from whir_nn_input to whir_nn_output. WHIR_ERR_STATE before whir_nn_bind. */
int whir_nn_run(whir_nn_t *nn);
/* Puts nn behind the inference seam. */
void whir_nn_inference(whir_nn_t *nn, whir_inference_t *engine);

#endif
