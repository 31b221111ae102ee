#include "nn_reader.h"

#include "whir/bytes.h"

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

static int read_shape(whir_fb_t *fb, whir_fb_vector_t shape, whir_nn_tensor_t *tensor)
{
    if (shape.count > WHIR_NN_RANK_MAX) {
        return WHIR_ERR_NN_SHAPE;
    }
    tensor->rank = (uint8_t)shape.count;
    tensor->elements = 1;
    for (uint32_t i = 0; i < shape.count; i++) {
        uint32_t dim = whir_fb_u32(fb, shape.at + 4 * i);

        /* A dynamic dimension is -1, an empty one 0. */
        if (dim == 0 || dim > WHIR_NN_DIM_MAX || tensor->elements > WHIR_NN_ELEMENTS_MAX / dim) {
            return WHIR_ERR_NN_SHAPE;
        }
        tensor->dims[i] = (uint16_t)dim;
        tensor->elements *= dim;
    }
    return 0;
}

/* Zero points are int64: each fits int8, and several (one per channel) are all 0. */
static int read_zero_points(whir_fb_t *fb, whir_fb_vector_t points, whir_nn_tensor_t *tensor)
{
    const uint8_t *point = fb->data + points.at;
    uint32_t any = 0;

    tensor->zero_point = 0;
    if (points.count != tensor->scales.count) {
        return WHIR_ERR_NN_QUANT;
    }
    if (points.count == 1) {
        int32_t low = (int32_t)whir_le32(point);

        tensor->zero_point = low;
        return low >= -128 && low <= 127 && (int32_t)whir_le32(point + 4) == (low < 0 ? -1 : 0) ? 0 : WHIR_ERR_NN_QUANT;
    }
    for (uint32_t i = 0; i < points.count; i++, point += 8) {
        any |= whir_le32(point) | whir_le32(point + 4);
    }
    return any == 0 ? 0 : WHIR_ERR_NN_QUANT;
}

/* Where the constant's bytes are: in the buffer's vector, or, for large models, outside the FlatBuffer at a stated offset. */
static whir_fb_vector_t read_buffer(whir_nn_reader_t *reader, uint32_t index)
{
    whir_fb_t *fb = &reader->fb;
    whir_fb_table_t buffer = whir_fb_element(fb, reader->buffers, index);
    whir_fb_vector_t data = whir_fb_get_vector(fb, buffer, BUFFER_DATA, 1);
    uint32_t offset = whir_fb_get_u32(fb, buffer, BUFFER_OFFSET, 0); /* low half of a 64-bit field */

    if (offset > 1) {
        data.at = offset;
        data.count = whir_fb_get_u32(fb, buffer, BUFFER_SIZE, 0);
        if (offset > fb->bytes || data.count > fb->bytes - offset) {
            whir_fb_fail(fb, buffer.at);
        }
    }
    return data;
}

int whir_nn_tensor_read(whir_nn_reader_t *reader, int32_t index, whir_nn_tensor_t *tensor)
{
    whir_fb_t *fb = &reader->fb;
    whir_fb_table_t table, quantization;
    whir_fb_vector_t data;
    int err;

    table = whir_fb_element(fb, reader->tensors, (uint32_t)index);
    tensor->type = whir_fb_get_u8(fb, table, TENSOR_TYPE, 0);
    quantization = whir_fb_get_table(fb, table, TENSOR_QUANTIZATION);
    tensor->scales = whir_fb_get_vector(fb, quantization, QUANTIZATION_SCALE, 4);
    data = read_buffer(reader, whir_fb_get_u32(fb, table, TENSOR_BUFFER, 0));
    err = read_shape(fb, whir_fb_get_vector(fb, table, TENSOR_SHAPE, 4), tensor);
    if (err == 0) {
        err = read_zero_points(fb, whir_fb_get_vector(fb, quantization, QUANTIZATION_ZERO_POINT, 8), tensor);
    }
    tensor->data = data.count != 0 ? data.at : 0;
    if (fb->bad) {
        return WHIR_ERR_NN_SCHEMA;
    }
    if (tensor->type != WHIR_NN_TYPE_INT8 && tensor->type != WHIR_NN_TYPE_INT32) {
        return WHIR_ERR_NN_TYPE;
    }
    if (err == 0 && data.count != 0 && data.count != tensor->elements * (tensor->type == WHIR_NN_TYPE_INT8 ? 1 : 4)) {
        return WHIR_ERR_NN_SHAPE;
    }
    return err;
}

int whir_nn_tensor_activation(whir_nn_reader_t *reader, int32_t index, whir_nn_tensor_t *tensor)
{
    int err = whir_nn_tensor_read(reader, index, tensor);

    if (err < 0) {
        return err;
    }
    if (tensor->type != WHIR_NN_TYPE_INT8) {
        return WHIR_ERR_NN_TYPE;
    }
    if (tensor->scales.count != 1) {
        return WHIR_ERR_NN_QUANT;
    }
    err = whir_nn_tensor_scale(reader, tensor, 0, &tensor->scale);
    return err == 0 && tensor->scale.mantissa == 0 ? WHIR_ERR_NN_QUANT : err;
}

int whir_nn_tensor_constant(whir_nn_reader_t *reader, int32_t index, uint8_t type, whir_nn_tensor_t *tensor)
{
    int err = whir_nn_tensor_read(reader, index, tensor);

    if (err == 0 && tensor->type != type) {
        err = WHIR_ERR_NN_TYPE;
    }
    if (err == 0 && tensor->data == 0) {
        err = WHIR_ERR_NN_SHAPE; /* computed at run time: a dynamic shape, or weights that are not stored */
    }
    return err;
}

int whir_nn_tensor_scale(whir_nn_reader_t *reader, const whir_nn_tensor_t *tensor, uint32_t i, whir_nn_real_t *scale)
{
    return whir_nn_real_read(whir_fb_u32(&reader->fb, tensor->scales.at + 4 * i), scale) ? 0 : WHIR_ERR_NN_QUANT;
}
