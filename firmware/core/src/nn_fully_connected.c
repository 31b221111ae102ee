#include "nn_channels.h"
#include "nn_dot.h"

enum { OPTION_ACTIVATION = 0, OPTION_WEIGHTS_FORMAT = 1 };

/* BuiltinOptions_FullyConnectedOptions */
#define OPTIONS 8

/* What a row's channels are taken from: worked out before, or from the scales in the model. */
#ifdef WHIR_NN_FAST
typedef whir_nn_channel_t channels_t;
#define FILL fill
#define BYTES_UNROLLED UNROLL
#define CENTERED(byte, zero_point) (byte) /* the zero point is in the biases */

static void fill(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_dense_t *dense = &layer->as.dense;

    for (uint32_t c = 0; c < dense->outputs; c++) {
        whir_nn_channels_of(nn, layer)[c] = whir_nn_channel_fold(nn, layer, &dense->weights, c, dense->depth);
    }
}

static inline const channels_t *channels_of(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    return whir_nn_channels_of(nn, layer);
}

static inline whir_nn_channel_t channel_of(const whir_nn_t *nn, const channels_t *channels, uint32_t c)
{
    (void)nn;
    return channels[c];
}
#else
typedef whir_nn_weights_t channels_t;
#define FILL NULL
#define BYTES_UNROLLED
#define CENTERED(byte, zero_point) ((byte) - (zero_point))

static inline const channels_t *channels_of(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    (void)nn;
    return &layer->as.dense.weights;
}

static inline whir_nn_channel_t channel_of(const whir_nn_t *nn, const channels_t *channels, uint32_t c)
{
    return whir_nn_channel_load(nn->model, channels, c);
}
#endif

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
    return whir_nn_channels_read(reader, layer, &dense->weights, &weights, dense->outputs, input, output);
}

static inline int8_t byte_of(const whir_nn_t *nn, const channels_t *channels, whir_nn_range_t range, uint32_t c, uint32_t sum)
{
    whir_nn_channel_t channel = channel_of(nn, channels, c);

    return whir_nn_channel_byte(channel, range, sum + (uint32_t)channel.bias);
}

#ifndef WHIR_NN_SMALL
#define RUN run

#define ROW(sum, weight)                                                                                                       \
    sum += (uint32_t)(v * (weight));                                                                                           \
    WHIR_NN_KEEP(sum)

/* One row: eight outputs at a time from the first on, as many as fill eights. */
static NOT_INLINED void run_eights(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t row)
{
    const whir_nn_dense_t *dense = &layer->as.dense;
    const int8_t *w0 = (const int8_t *)(nn->model + dense->weights.data);
    const channels_t *channels = channels_of(nn, layer);
    whir_nn_range_t range = whir_nn_range_of(layer);
    uint32_t n = dense->depth;
    const int8_t *x = (const int8_t *)(nn->arena + layer->input) + row * n;
    int8_t *out = (int8_t *)(nn->arena + layer->output) + row * dense->outputs;

    for (uint32_t c = 0; c + 8 <= dense->outputs; c += 8, out += 8, x -= n, w0 += 7 * n) {
        const int8_t *w1 = w0 + n, *w2 = w1 + n, *w3 = w2 + n, *w4 = w3 + n, *w5 = w4 + n, *w6 = w5 + n, *w7 = w6 + n;
        const int8_t *end = w1, *last = w0 + (n & ~(2 * COLUMNS - 1));
        uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
        int32_t zero_point = layer->input_zero_point;

        (void)zero_point;
#define COLUMN(i)                                                                                                              \
    {                                                                                                                          \
        int32_t v = CENTERED(x[i], zero_point);                                                                                \
        ROW(s0, w0[i])                                                                                                         \
        ROW(s1, w1[i]) ROW(s2, w2[i]) ROW(s3, w3[i]) ROW(s4, w4[i]) ROW(s5, w5[i]) ROW(s6, w6[i]) ROW(s7, w7[i])               \
    }
#define ADVANCE(by) x += by, w0 += by, w1 += by, w2 += by, w3 += by, w4 += by, w5 += by, w6 += by, w7 += by
        for (; w0 != last; ADVANCE(2 * COLUMNS)) {
            UNROLLED(COLUMN)
            UNROLLED_ON(COLUMN)
        }
        for (; w0 != end; ADVANCE(1)) {
            COLUMN(0)
        }
#undef COLUMN
#undef ADVANCE
        {
            uint32_t sums[8] = {s0, s1, s2, s3, s4, s5, s6, s7};

            BYTES_UNROLLED
            for (uint32_t r = 0; r < 8; r++) {
                out[r] = byte_of(nn, channels, range, c + r, sums[r]);
            }
        }
    }
}

/* The others in pairs; the last is computed twice when there is only one. */
static NOT_INLINED void run_pairs(const whir_nn_t *nn, const whir_nn_layer_t *layer, uint32_t row)
{
    const whir_nn_dense_t *dense = &layer->as.dense;
    const channels_t *channels = channels_of(nn, layer);
    whir_nn_range_t range = whir_nn_range_of(layer);
    uint32_t n = dense->depth, c = dense->outputs & ~7u;
    const int8_t *w0 = (const int8_t *)(nn->model + dense->weights.data) + c * n;
    const int8_t *x = (const int8_t *)(nn->arena + layer->input) + row * n;
    int8_t *out = (int8_t *)(nn->arena + layer->output) + row * dense->outputs;

    for (; c < dense->outputs; c += 2, x -= n) {
        uint32_t second = c + 1 < dense->outputs ? c + 1 : c;
        const int8_t *w1 = w0 + (second - c) * n;
        const int8_t *end = x + n, *last = x + (n & ~(COLUMNS - 1));
        uint32_t s0 = 0, s1 = 0;
        int32_t zero_point = layer->input_zero_point;

        (void)zero_point;
#define COLUMN(i)                                                                                                              \
    {                                                                                                                          \
        int32_t v = CENTERED(x[i], zero_point);                                                                                \
        ROW(s0, w0[i]) ROW(s1, w1[i])                                                                                          \
    }
#define ADVANCE(by) x += by, w0 += by, w1 += by
        for (; x != last; ADVANCE(COLUMNS)) {
            UNROLLED(COLUMN)
        }
        for (; x != end; ADVANCE(1)) {
            COLUMN(0)
        }
#undef COLUMN
#undef ADVANCE
        {
            uint32_t sums[2] = {s0, s1};

            for (uint32_t r = c; r <= second; r++) {
                out[r] = byte_of(nn, channels, range, r, sums[r - c]);
            }
        }
        w0 = w1;
    }
}

static void run(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    for (uint32_t row = 0; row < layer->as.dense.rows; row++) {
        if (layer->as.dense.outputs >= 8) {
            run_eights(nn, layer, row);
        }
        if (layer->as.dense.outputs % 8 != 0) {
            run_pairs(nn, layer, row);
        }
    }
}

#else
#define RUN run_plain

static void run_plain(const whir_nn_t *nn, const whir_nn_layer_t *layer)
{
    const whir_nn_dense_t *dense = &layer->as.dense;
    const channels_t *channels = channels_of(nn, layer);
    const int8_t *x = (const int8_t *)(nn->arena + layer->input);
    int8_t *out = (int8_t *)(nn->arena + layer->output);

    for (uint32_t row = 0; row < dense->rows; row++, x += dense->depth) {
        const int8_t *w = (const int8_t *)(nn->model + dense->weights.data);

        for (uint32_t c = 0; c < dense->outputs; c++, w += dense->depth) {
            *out++ =
                byte_of(nn, channels, whir_nn_range_of(layer), c, whir_nn_dot(x, w, dense->depth, layer->input_zero_point));
        }
    }
}
#endif

bool whir_nn_check_fully_connected(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer)
{
    const whir_nn_dense_t *dense = &layer->as.dense;

    return whir_nn_bounds_layer(bounds, layer, whir_nn_bounds_product(dense->rows, dense->depth, 1),
                                whir_nn_bounds_product(dense->rows, dense->outputs, 1)) &&
           whir_nn_channels_check(bounds, layer, &dense->weights, whir_nn_bounds_product(dense->outputs, dense->depth, 1),
                                  dense->outputs);
}

const whir_nn_reading_t whir_nn_reading_fully_connected = {9, OPTIONS, 1, read};
const whir_nn_op_t whir_nn_op_fully_connected = {WHIR_NN_LAYER_BYTES(dense), RUN, FILL};
