#ifndef WHIR_HOST_NN_H
#define WHIR_HOST_NN_H

#include <stdint.h>

/* One whir_nn engine with its own arena and copy of the model. */
typedef struct host_nn host_nn_t;

typedef struct host_nn_info {
    uint32_t input_bytes, output_bytes, arena_bytes, state_bytes;
    uint32_t input_scale_bits, output_scale_bits;
    int32_t input_zero_point, output_zero_point;
    uint32_t error_at; /* operator or file offset of a refusal */
} host_nn_info_t;

/* Loads a model; `planned`: by the plan at the end of its file. NULL when it is refused, with the code in *error and the place
 * in info->error_at. */
host_nn_t *host_nn_open(const uint8_t *model, uint32_t model_bytes, int32_t planned, host_nn_info_t *info, int32_t *error);
void host_nn_close(host_nn_t *engine);
/* `count` inferences, one after the other. 0 or the error. */
int32_t host_nn_run(host_nn_t *engine, const int8_t *inputs, int8_t *outputs, uint32_t count);

/* Writes the plan of a model that the engine takes: its length, or the error when it is longer than `room`. */
int32_t host_nn_write_plan(const uint8_t *model, uint32_t model_bytes, uint8_t *plan, uint32_t room);

/* What a model says about itself, whether the engine can run it or not. */
typedef struct host_nn_outline {
    uint32_t inputs, outputs, operators; /* how many the first graph has */
    int32_t batch;                       /* first dimension of the first input, -1 where it is open */
} host_nn_outline_t;

/* Reads the outline, and the BuiltinOperator of up to `room` operators into `codes`. 0 or WHIR_ERR_NN_SCHEMA. */
int32_t host_nn_outline(const uint8_t *model, uint32_t model_bytes, host_nn_outline_t *outline, uint32_t *codes, uint32_t room);
/* 1 when the engine has the operator. */
int32_t host_nn_has(uint32_t code);

/*
 * Multiplier and shift for a * b / c, from the bits of float32 scales. Shift 127 marks a factor that the engine refuses.
 */
void host_nn_factors(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t count, int32_t *multipliers,
                     int32_t *shifts);
/* 6 or 1 (`six` or not) in units of each scale, as far as int8 can tell: what a fused activation leaves. */
void host_nn_steps(int32_t six, const uint32_t *scales, uint32_t count, int32_t *steps);

#endif
