#include "nn_reader.h"

enum {
    TENSOR_SHAPE = 0,
    TENSOR_TYPE = 1,
    TENSOR_BUFFER = 2,
    TENSOR_QUANTIZATION = 4,
    QUANTIZATION_SCALE = 2,
    QUANTIZATION_ZERO_POINT = 3,
    BUFFER_DATA = 0,
    BUFFER_OFFSET = 1,
    BUFFER_SIZE = 2,
};

static int read_shape(const whir_fb_t *fb, whir_fb_vector_t shape, whir_nn_tensor_t *tensor)
{
    if (shape.count > WHIR_NN_RANK_MAX) {
        return WHIR_ERR_NN_SHAPE;
    }
    tensor->rank = (uint8_t)shape.count;
    tensor->elements = 1;
    for (uint32_t i = 0; i < shape.count; i++) {
        uint32_t dim = whir_fb_load(fb->data + shape.at + 4 * i);

        /* A dynamic dimension is -1, an empty one 0. */
        if (dim == 0 || dim > WHIR_NN_DIM_MAX || tensor->elements > WHIR_NN_ELEMENTS_MAX / dim) {
            return WHIR_ERR_NN_SHAPE;
        }
        tensor->dims[i] = (uint16_t)dim;
        tensor->elements *= dim;
    }
    return 0;
}

/* Zero points are int64: a single one fits int8, and several (one per channel) are all 0. */
static int read_zero_points(const whir_fb_t *fb, whir_fb_vector_t points, whir_nn_tensor_t *tensor)
{
    const uint8_t *point = fb->data + points.at;
    uint32_t low = 0, high = 0;

    if (points.count != tensor->scales.count) {
        return WHIR_ERR_NN_QUANT;
    }
    for (uint32_t i = 0; i < points.count; i++, point += 8) {
        low |= whir_fb_load(point);
        high |= whir_fb_load(point + 4);
    }
    tensor->zero_point = (int32_t)low;
    return (int32_t)low == (int8_t)low && (int32_t)high == (int32_t)low >> 31 && (low == 0 || points.count == 1)
               ? 0
               : WHIR_ERR_NN_QUANT;
}

/* Where the constant's bytes are: in the buffer's vector, or, for large models, outside the FlatBuffer at a stated offset. */
static whir_fb_vector_t read_buffer(whir_nn_reader_t *reader, uint32_t index)
{
    whir_fb_t *fb = &reader->fb;
    whir_fb_table_t buffer = whir_fb_element(fb, reader->buffers, index);
    whir_fb_vector_t data = whir_fb_get_vector(fb, buffer, BUFFER_DATA, 1);
    uint32_t at = whir_fb_locate(fb, buffer, BUFFER_OFFSET); /* of 64 bits, as the size */
    uint32_t offset = at != 0 ? whir_fb_u32(fb, at) : 0;

    if (offset > 1) {
        data.at = offset;
        data.count = whir_fb_get_u32(fb, buffer, BUFFER_SIZE, 0);
        if (whir_fb_u32(fb, at + 4) != 0 || offset > fb->bytes || data.count > fb->bytes - offset) {
            whir_fb_fail(fb, buffer);
        }
    }
    return data;
}

static int read_tensor(whir_nn_reader_t *reader, int32_t index, uint8_t type, whir_nn_tensor_t *tensor)
{
    whir_fb_t *fb = &reader->fb;
    whir_fb_table_t table = whir_fb_element(fb, reader->tensors, (uint32_t)index);
    whir_fb_table_t quantization = whir_fb_get_table(fb, table, TENSOR_QUANTIZATION);
    whir_fb_vector_t points = whir_fb_get_vector(fb, quantization, QUANTIZATION_ZERO_POINT, 8);
    whir_fb_vector_t shape = whir_fb_get_vector(fb, table, TENSOR_SHAPE, 4);
    whir_fb_vector_t data = read_buffer(reader, whir_fb_get_u32(fb, table, TENSOR_BUFFER, 0));
    uint32_t element_bytes = type == WHIR_NN_TYPE_INT8 ? 1 : 4;
    uint8_t found = whir_fb_get_u8(fb, table, TENSOR_TYPE);
    int err;

    tensor->scales = whir_fb_get_vector(fb, quantization, QUANTIZATION_SCALE, 4);
    tensor->data = data.count != 0 ? data.at : 0;
    if ((tensor->data & (element_bytes - 1)) != 0) {
        whir_fb_fail(fb, data.at);
    }
    if (whir_fb_is_bad(fb)) {
        return WHIR_ERR_NN_SCHEMA;
    }
    if (found != type) {
        return WHIR_ERR_NN_TYPE;
    }
    err = read_shape(fb, shape, tensor);
    if (err == 0) {
        err = read_zero_points(fb, points, tensor);
    }
    if (err == 0 && data.count != 0 && data.count != tensor->elements * element_bytes) {
        return WHIR_ERR_NN_SHAPE;
    }
    return err;
}

int whir_nn_tensor_activation(whir_nn_reader_t *reader, int32_t index, whir_nn_tensor_t *tensor)
{
    int err = read_tensor(reader, index, WHIR_NN_TYPE_INT8, tensor);
    uint32_t bits;

    if (err < 0) {
        return err;
    }
    bits = whir_fb_u32(&reader->fb, tensor->scales.at);
    if (tensor->scales.count != 1 || bits == 0 || !whir_nn_real_is_valid(bits)) {
        return WHIR_ERR_NN_QUANT;
    }
    tensor->scale = whir_nn_real(bits);
    return 0;
}

int whir_nn_tensor_constant(whir_nn_reader_t *reader, uint32_t n, uint8_t type, whir_nn_tensor_t *tensor)
{
    int err = read_tensor(reader, whir_nn_reader_input(reader, n), type, tensor);

    /* computed at run time: a dynamic shape, or weights that are not stored */
    return err == 0 && tensor->data == 0 ? WHIR_ERR_NN_SHAPE : err;
}
