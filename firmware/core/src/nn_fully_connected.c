#include "nn_channels.h"
#include "nn_dot.h"

enum { OPTION_ACTIVATION = 0, OPTION_WEIGHTS_FORMAT = 1 };

/* BuiltinOptions_FullyConnectedOptions */
#define OPTIONS 8
#define ROWS 8u

#ifdef WHIR_NN_FAST
#define CHANNELS_MAX 4096u /* a record has room for a table of so many */
#define FILL fill
#define CENTERED(byte, zero_point) (byte) /* the zero point is in the biases */

/* The table behind the record. */
static whir_nn_channel_t *channels_of(const whir_nn_layer_t *layer)
{
    return (whir_nn_channel_t *)(void *)((uint8_t *)(uintptr_t)layer + WHIR_NN_LAYER_BYTES(dense));
}

static void fill(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_dense_t *dense = &layer->as.dense;
    const int8_t *w = (const int8_t *)(nn->model + dense->weights.data);
    whir_nn_channel_t *channel = channels_of(layer);

    for (uint32_t c = 0; c < dense->outputs; c++, channel++) {
        int32_t sum = 0;

        for (const int8_t *end = w + dense->depth; w != end; w++) {
            sum += *w;
        }
        whir_nn_channel_load(nn->model, &dense->weights, c, channel);
        channel->bias = (int32_t)((uint32_t)channel->bias - (uint32_t)(sum * layer->input_zero_point));
    }
}
#else
#define FILL NULL
#define CENTERED(byte, zero_point) ((byte) - (zero_point))
#endif

static whir_nn_channel_t channel_of(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t c)
{
#ifdef WHIR_NN_FAST
    (void)nn;
    return channels_of(layer)[c];
#else
    whir_nn_channel_t channel;

    whir_nn_channel_load(nn->model, &layer->as.dense.weights, c, &channel);
    return channel;
#endif
}

static int read(whir_nn_reader_t *reader, const whir_nn_tensor_t *input, const whir_nn_tensor_t *output, whir_nn_layer_t *layer)
{
    whir_nn_dense_t *dense = &layer->as.dense;
    whir_nn_tensor_t weights;
    int err = whir_nn_tensor_constant(reader, 1, WHIR_NN_TYPE_INT8, &weights);

    if (err < 0) {
        return err;
    }
    if (whir_fb_get_u8(&reader->fb, reader->options, OPTION_WEIGHTS_FORMAT) != 0) {
        return WHIR_ERR_NN_OPTION;
    }
    if (weights.rank != 2) {
        return WHIR_ERR_NN_SHAPE;
    }
    dense->outputs = weights.dims[0];
    dense->depth = weights.dims[1];
    dense->rows = input->elements / dense->depth;
    if (output->rank == 0 || output->dims[output->rank - 1] != dense->outputs ||
        dense->rows * dense->depth != input->elements || output->elements / dense->outputs != dense->rows) {
        return WHIR_ERR_NN_SHAPE;
    }
    err = whir_nn_layer_read_activation(reader, OPTION_ACTIVATION, output, layer);
    if (err < 0) {
        return err;
    }
#ifdef WHIR_NN_FAST
    if (dense->outputs > CHANNELS_MAX) {
        return WHIR_ERR_SPACE;
    }
    layer->bytes = (uint16_t)(layer->bytes + dense->outputs * sizeof(whir_nn_channel_t));
#endif
    return whir_nn_channels_read(reader, &dense->weights, &weights, dense->outputs, input, output);
}

/* sums[r] = (x - zero_point) · rows[r] */
static NOT_INLINED void dot(uint32_t sums[ROWS], const int8_t *x, const int8_t *const rows[ROWS], uint32_t n,
                            int32_t zero_point)
{
    const int8_t *w0 = rows[0], *w1 = rows[1], *w2 = rows[2], *w3 = rows[3];
    const int8_t *w4 = rows[4], *w5 = rows[5], *w6 = rows[6], *w7 = rows[7];
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    const int8_t *end = x + n;

    (void)zero_point;
#define COLUMN(i)                                                                                                              \
    {                                                                                                                          \
        int32_t v = CENTERED(x[i], zero_point);                                                                                \
        s0 += (uint32_t)(v * w0[i]);                                                                                           \
        s1 += (uint32_t)(v * w1[i]);                                                                                           \
        s2 += (uint32_t)(v * w2[i]);                                                                                           \
        s3 += (uint32_t)(v * w3[i]);                                                                                           \
        s4 += (uint32_t)(v * w4[i]);                                                                                           \
        s5 += (uint32_t)(v * w5[i]);                                                                                           \
        s6 += (uint32_t)(v * w6[i]);                                                                                           \
        s7 += (uint32_t)(v * w7[i]);                                                                                           \
        KEEP_ORDER(s0, s1, s2, s3, s4, s5, s6, s7)                                                                             \
    }
#define ADVANCE(by) x += by, w0 += by, w1 += by, w2 += by, w3 += by, w4 += by, w5 += by, w6 += by, w7 += by

    for (const int8_t *last = x + (n & ~(COLUMNS - 1)); x != last; ADVANCE(COLUMNS)) {
        COLUMN(0)
        UNROLLED(COLUMN)
    }
    for (; x != end; ADVANCE(1)) {
        COLUMN(0)
    }
#undef COLUMN
#undef ADVANCE
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    sums[4] = s4;
    sums[5] = s5;
    sums[6] = s6;
    sums[7] = s7;
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_dense_t *dense = &layer->as.dense;
    const int8_t *weights = (const int8_t *)(nn->model + dense->weights.data);
    const int8_t *x = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);
    whir_nn_range_t range = whir_nn_range_of(layer);

    for (uint32_t row = 0; row < dense->rows; row++, x += dense->depth) {
        const int8_t *w = weights;

        for (uint32_t c = 0; c < dense->outputs;) {
            const int8_t *rows[ROWS];
            uint32_t sums[ROWS], count = dense->outputs - c;

            count = count < ROWS ? count : ROWS;
            for (uint32_t r = 0; r < ROWS; r++) {
                rows[r] = w;
                w += r + 1 < count ? dense->depth : 0; /* rows beyond the last are the last again, for nothing */
            }
            w += dense->depth;
            dot(sums, x, rows, dense->depth, layer->input_zero_point);
            for (uint32_t r = 0; r < count; r++, c++) {
                whir_nn_channel_t channel = channel_of(nn, layer, c);

                *out++ = (int8_t)whir_nn_channel_byte(channel, range, sums[r] + (uint32_t)channel.bias);
            }
        }
    }
}

const whir_nn_op_t whir_nn_op_fully_connected = {9, OPTIONS, 1, WHIR_NN_LAYER_BYTES(dense), read, run, FILL};
