#ifndef WHIR_NN_LAYER_H
#define WHIR_NN_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "nn_bounds.h"
#include "nn_ops.h"
#include "nn_reader.h"
#include "whir/nn.h"

/* A sliding window over (height, width, channels), as convolution and pooling have it. */
typedef struct whir_nn_window {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t k_h, k_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_h, pad_w;
} whir_nn_window_t;

/* Weights, and what turns their sums into output bytes. Offsets are in the model. */
typedef struct whir_nn_weights {
    uint32_t data;
    uint32_t bias;         /* int32; 0 = none */
    uint32_t scales;       /* float32 */
    whir_nn_ratio_t ratio; /* of input scale to output scale */
    uint32_t per_channel;  /* 1 = a scale per channel, 0 = one for all */
} whir_nn_weights_t;

typedef struct whir_nn_conv {
    whir_nn_window_t window;
    whir_nn_weights_t weights;
} whir_nn_conv_t;

typedef struct whir_nn_dense {
    whir_nn_weights_t weights;
    uint32_t rows;
    uint16_t depth;
    uint16_t outputs;
} whir_nn_dense_t;

/* The mean over `reduced` of (outer, reduced, inner). */
typedef struct whir_nn_mean {
    uint32_t outer, reduced, inner;
    int32_t multiplier;
    int32_t shift;
} whir_nn_mean_t;

/* Two operands, element by element. One of them is as long as the output, the other may be shorter and is repeated. */
typedef struct whir_nn_pair {
    uint32_t second; /* as `input` */
    uint32_t count;
    uint32_t counts[2];    /* of the operands */
    int32_t multiplier[3]; /* first input, second input, output */
    int8_t shift[3];
    int8_t second_zero_point;
} whir_nn_pair_t;

/* One input's share of the output: `rows` pieces of `piece` bytes, each `step` behind the one before, the first at `offset`. */
typedef struct whir_nn_concat {
    uint32_t rows, piece, step, offset;
} whir_nn_concat_t;

/* Axes that the tensors do not have are the first, with one element. */
typedef struct whir_nn_pad {
    uint16_t in[WHIR_NN_RANK_MAX], out[WHIR_NN_RANK_MAX];
    uint16_t before[WHIR_NN_RANK_MAX];
} whir_nn_pad_t;

typedef struct whir_nn_softmax {
    uint32_t rows, depth;
    int32_t multiplier;
    int32_t shift;
} whir_nn_softmax_t;

/* A function of one element. */
typedef struct whir_nn_unary {
    uint32_t count;
    int32_t multiplier;
    int32_t shift;
} whir_nn_unary_t;

/*
 * The record of one computing layer, cut off behind what its operator uses of `as`. Offsets instead of pointers and fixed
 * widths only: a plan is the same on a 32-bit node as on the computer that makes it.
 */
typedef struct whir_nn_layer {
    uint32_t input;  /* offset behind nn->arena, or in the model with WHIR_NN_IN_MODEL; an index of values while planning */
    uint32_t output; /* offset behind nn->arena, as above */
    uint16_t channels_before; /* how many channels before nn->arena its own begin in a build that keeps them there */
    uint8_t op;               /* whir_nn_op_index */
    int8_t input_zero_point;
    int8_t output_zero_point;
    int8_t low, high; /* what the fused activation leaves of -128..127 */
    union {
        whir_nn_window_t window;
        whir_nn_conv_t conv;
        whir_nn_dense_t dense;
        whir_nn_mean_t mean;
        whir_nn_pair_t pair;
        whir_nn_concat_t concat;
        whir_nn_pad_t pad;
        whir_nn_softmax_t softmax;
        whir_nn_unary_t unary;
    } as;
} whir_nn_layer_t;

/* The length of a record whose operator uses `member`. */
#define WHIR_NN_LAYER_BYTES(member) ((uint8_t)(offsetof(whir_nn_layer_t, as) + sizeof(((whir_nn_layer_t *)0)->as.member)))

#define WHIR_NN_IN_MODEL 0x80000000u

/* A window over the input, with as.window: place by place or channel by channel, and what a place has read is needed no more
 * by those behind it. The output may follow it through the input's memory. */
#define WHIR_NN_SLIDES 0x20u
/* The output may take the memory of an input as long as it, when nobody needs that input any more. */
#define WHIR_NN_IN_PLACE 0x40u
/* All inputs are alike, and each gives a layer of its own. */
#define WHIR_NN_EACH_INPUT 0x80u

/* How the engine reads one kind of operator from a .tflite. */
typedef struct whir_nn_reading {
    uint8_t code;    /* BuiltinOperator */
    uint8_t options; /* BuiltinOptions that it must carry; 0 = any or none */
    uint8_t inputs;  /* leading inputs that are activations, and the flags above */
    /* Checks the operator under way in `reader`, from its first input to its output, and fills what is its own of the
     * layer. With WHIR_NN_EACH_INPUT from input reader->part, and the layer has what was filled for the one before. */
    int (*read)(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output,
                whir_nn_layer_t *layer);
} whir_nn_reading_t;

/* How it checks the record of one in a plan that came with the file: no value may lead the run outside. */
typedef bool whir_nn_checking_t(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer);

/* How it runs one. */
typedef struct whir_nn_op {
    uint8_t bytes; /* of its record */
    /* NULL: the output has the input's bytes, and shares its memory; there is no record. */
    void (*run)(const whir_nn_t *nn, const whir_nn_layer_t *layer);
    /* Fills the layer's channels in the arena; NULL when there are none. */
    void (*fill)(const whir_nn_t *nn, const whir_nn_layer_t *layer);
} whir_nn_op_t;

/* Every operator has the three, and what a build does not call of them is not linked. */
#define WHIR_NN_DECLARE(name)                                                                                                  \
    extern const whir_nn_reading_t whir_nn_reading_##name;                                                                     \
    bool whir_nn_check_##name(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer);                                   \
    extern const whir_nn_op_t whir_nn_op_##name;
WHIR_NN_EVERY_OP(WHIR_NN_DECLARE)

/* Those of this build by whir_nn_op_index; NULL where there is none. */
extern const whir_nn_reading_t *const whir_nn_readings[];
extern whir_nn_checking_t *const whir_nn_checkings[];
extern const whir_nn_op_t *const whir_nn_ops[];
extern const uint8_t whir_nn_op_count; /* of each of these */

/* Where an input lies. */
static inline const int8_t *whir_nn_input_at(const whir_nn_t *nn, uint32_t at)
{
    return (const int8_t *)((at & WHIR_NN_IN_MODEL) != 0 ? nn->model + (at & ~WHIR_NN_IN_MODEL) : nn->arena + at);
}

/* Sets low and high from the fused activation in the operator's options. */
int whir_nn_layer_read_activation(whir_nn_reader_t *reader, uint32_t field, const whir_nn_tensor_t *output,
                                  whir_nn_layer_t *layer);
/* Sets low and high for an activation (ActivationFunctionType) in units of `tensor`. */
int whir_nn_layer_set_activation(uint8_t activation, const whir_nn_tensor_t *tensor, whir_nn_layer_t *layer);

/* Index of the operator with this BuiltinOperator; -1 when the build does not have it. */
int whir_nn_op_find(uint32_t code);

#endif
