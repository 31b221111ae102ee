#include "nn_reader.h"

/* Field numbers of the TFLite schema. */
enum {
    MODEL_VERSION = 0,
    MODEL_OPCODES = 1,
    MODEL_GRAPHS = 2,
    MODEL_BUFFERS = 4,
    OPCODE_DEPRECATED = 0,
    OPCODE_BUILTIN = 3,
    GRAPH_TENSORS = 0,
    GRAPH_INPUTS = 1,
    GRAPH_OUTPUTS = 2,
    GRAPH_OPERATORS = 3,
    OPERATOR_OPCODE = 0,
    OPERATOR_INPUTS = 1,
    OPERATOR_OUTPUTS = 2,
    OPERATOR_OPTIONS_TYPE = 3,
    OPERATOR_OPTIONS = 4,
};

#define SCHEMA_VERSION 3

/* "TFL3" */
#define IDENTIFIER UINT32_C(0x334c4654)

/* The only element of a vector of tensor indices. */
static int32_t read_only_index(whir_fb_t *fb, whir_fb_table_t table, uint32_t field)
{
    whir_fb_vector_t indices = whir_fb_get_vector(fb, table, field, 4);

    if (indices.count != 1) {
        whir_fb_fail(fb, table);
    }
    return (int32_t)whir_fb_u32(fb, indices.at);
}

int whir_nn_reader_open(whir_nn_reader_t *reader, const uint8_t *model, uint32_t model_bytes)
{
    whir_fb_t *fb = &reader->fb;
    whir_fb_table_t root, graph;

    fb->data = model;
    fb->bytes = model_bytes <= INT32_MAX ? model_bytes : 0;
    fb->bad_at = 0;
    reader->channels = 0;
    root = whir_fb_root(fb, IDENTIFIER);
    if (whir_fb_get_u32(fb, root, MODEL_VERSION, 0) != SCHEMA_VERSION) {
        whir_fb_fail(fb, root);
    }
    reader->opcodes = whir_fb_get_vector(fb, root, MODEL_OPCODES, 4);
    reader->buffers = whir_fb_get_vector(fb, root, MODEL_BUFFERS, 4);
    graph = whir_fb_element(fb, whir_fb_get_vector(fb, root, MODEL_GRAPHS, 4), 0);
    reader->tensors = whir_fb_get_vector(fb, graph, GRAPH_TENSORS, 4);
    reader->operators = whir_fb_get_vector(fb, graph, GRAPH_OPERATORS, 4);
    reader->graph_input = read_only_index(fb, graph, GRAPH_INPUTS);
    reader->graph_output = read_only_index(fb, graph, GRAPH_OUTPUTS);
    if (reader->tensors.count > UINT16_MAX) {
        whir_fb_fail(fb, graph);
    }
    return whir_fb_is_bad(fb) ? WHIR_ERR_NN_SCHEMA : 0;
}

int whir_nn_reader_select(whir_nn_reader_t *reader, uint32_t index)
{
    whir_fb_t *fb = &reader->fb;
    whir_fb_table_t op = whir_fb_element(fb, reader->operators, index);
    whir_fb_table_t opcode = whir_fb_element(fb, reader->opcodes, whir_fb_get_u32(fb, op, OPERATOR_OPCODE, 0));
    uint32_t old = whir_fb_get_u8(fb, opcode, OPCODE_DEPRECATED);
    whir_fb_vector_t outputs;

    /* Codes up to 127 stand in the old field, later ones in the new: the larger one counts. */
    reader->code = whir_fb_get_u32(fb, opcode, OPCODE_BUILTIN, 0);
    if (reader->code < old) {
        reader->code = old;
    }
    reader->inputs = whir_fb_get_vector(fb, op, OPERATOR_INPUTS, 4);
    outputs = whir_fb_get_vector(fb, op, OPERATOR_OUTPUTS, 4);
    /* no operator of the engine has several: the others are to be refused by their names, not here */
    reader->output = outputs.count == 1 ? (int32_t)whir_fb_u32(fb, outputs.at) : -1;
    reader->options_type = whir_fb_get_u8(fb, op, OPERATOR_OPTIONS_TYPE);
    reader->options = whir_fb_get_table(fb, op, OPERATOR_OPTIONS);
    reader->part = 0;
    return whir_fb_is_bad(fb) ? WHIR_ERR_NN_SCHEMA : 0;
}

int32_t whir_nn_reader_input(whir_nn_reader_t *reader, uint32_t n)
{
    return n < reader->inputs.count ? (int32_t)whir_fb_u32(&reader->fb, reader->inputs.at + 4 * n) : -1;
}
