#ifndef WHIR_NN_READER_H
#define WHIR_NN_READER_H

#include "nn_flatbuffer.h"
#include "nn_quant.h"
#include "whir/contract.h"

#define WHIR_NN_RANK_MAX 6
#define WHIR_NN_DIM_MAX 65535u
#define WHIR_NN_ELEMENTS_MAX (UINT32_C(1) << 23) /* so many differences of int8 add up to less than 2^31 */

/* TensorType */
#define WHIR_NN_TYPE_INT32 2
#define WHIR_NN_TYPE_INT8 9

/* A model opened for reading, and the operator under way. */
typedef struct whir_nn_reader {
    whir_fb_t fb;
    whir_fb_vector_t opcodes;
    whir_fb_vector_t buffers;
    whir_fb_vector_t tensors;
    whir_fb_vector_t operators;
    int32_t graph_input, graph_output; /* tensors */
    uint32_t code;                     /* BuiltinOperator of the operator under way */
    whir_fb_vector_t inputs;
    uint32_t part; /* the first input looked at: 0, but for operators with a layer per input */
    int32_t output;
    uint32_t channels; /* of the operators read so far */
    uint8_t options_type;
    whir_fb_table_t options;
} whir_nn_reader_t;

typedef struct whir_nn_tensor {
    uint8_t type;
    uint8_t rank;
    uint16_t dims[WHIR_NN_RANK_MAX];
    uint32_t elements;
    whir_fb_vector_t scales; /* float32 */
    whir_nn_real_t scale;    /* the only one; set for activations */
    int32_t zero_point;      /* the first; all are 0 when there are several */
    uint32_t data;           /* offset in the model, 4-byte aligned for int32; 0 when the tensor is not constant */
} whir_nn_tensor_t;

/* The same byte means the same in both: scale and zero point of activations. */
static inline bool whir_nn_tensor_is_like(const whir_nn_tensor_t *a, const whir_nn_tensor_t *b)
{
    return a->scale.mantissa == b->scale.mantissa && a->scale.exponent == b->scale.exponent && a->zero_point == b->zero_point;
}

/* Opens the model: version, one graph with one input and one output. 0 or WHIR_ERR_NN_…. */
int whir_nn_reader_open(whir_nn_reader_t *reader, const uint8_t *model, uint32_t model_bytes);
/* Makes operator `index` the one under way. */
int whir_nn_reader_select(whir_nn_reader_t *reader, uint32_t index);

/* Index of the operator's n-th input, -1 when it has none. */
int32_t whir_nn_reader_input(whir_nn_reader_t *reader, uint32_t n);

/* A tensor computed at run time: int8, one scale, one zero point. */
int whir_nn_tensor_activation(whir_nn_reader_t *reader, int32_t index, whir_nn_tensor_t *tensor);
/* The operator's n-th input, a constant tensor of the given type. */
int whir_nn_tensor_constant(whir_nn_reader_t *reader, uint32_t n, uint8_t type, whir_nn_tensor_t *tensor);

#endif
