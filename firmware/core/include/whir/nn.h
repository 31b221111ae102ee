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
/*
 * A planned file is the .tflite, filled up with zeros to a multiple of 4, and its plan: so a node need not read FlatBuffers,
 * and its arena holds no records. Other readers of the file do not see the plan. A build that calls whir_nn_load_planned and
 * none of the above links no reader, no verifier and no planner.
 */
/* The plan of a model (4-byte aligned) for the end of its file: its length, at most `room`, else WHIR_ERR_SPACE; or
 * WHIR_ERR_NN_… with the place in *error_at. */
int whir_nn_write_plan(const uint8_t *model, uint32_t model_bytes, uint8_t *plan, uint32_t room, uint32_t *error_at);
/* whir_nn_load for a planned file. Every offset and length in the plan is checked: WHIR_ERR_NN_PLAN with the layer in
 * nn->error_at when there is none, when it leads outside, or when it is for operators that this build has not. What the
 * plan computes is not held against the FlatBuffer: a signature over the file, or vectors, speak for that. */
int whir_nn_load_planned(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                         whir_model_info_t *info);
/* The input tensor. A run uses its memory up: fill it before each. */
int8_t *whir_nn_input(whir_nn_t *nn);
const int8_t *whir_nn_output(const whir_nn_t *nn);
/* One inference from whir_nn_input to whir_nn_output. WHIR_ERR_STATE before whir_nn_bind. */
int whir_nn_run(whir_nn_t *nn);
/* Puts nn behind the inference seam: for any model, or for planned ones only. */
void whir_nn_inference(whir_nn_t *nn, whir_inference_t *engine);
void whir_nn_inference_planned(whir_nn_t *nn, whir_inference_t *engine);

#endif
