#include "host_nn.h"

#include <stdlib.h>
#include <string.h>

#include "nn_layer.h"
#include "whir/contract.h"
#include "whir/nn.h"

struct host_nn {
    whir_nn_t nn;
    uint8_t *model;
    uint8_t *block; /* the arena's, with room to align it */
    uint32_t input_bytes, output_bytes;
};

/* A copy, aligned as the engine wants it; never a null pointer for an empty file. */
static uint8_t *copy_of(const uint8_t *model, uint32_t model_bytes)
{
    uint8_t *copy = malloc((size_t)model_bytes + 1);

    return copy != NULL ? memcpy(copy, model, model_bytes) : NULL;
}

static int32_t open_engine(host_nn_t *engine, const uint8_t *model, uint32_t model_bytes, int32_t planned, host_nn_info_t *info)
{
    int (*load)(whir_nn_t *, const uint8_t *, uint32_t, uint8_t *, uint32_t, whir_model_info_t *) =
        planned ? whir_nn_load_planned : whir_nn_load;
    whir_model_info_t found;
    int32_t err;

    engine->model = copy_of(model, model_bytes);
    if (engine->model == NULL) {
        return WHIR_ERR_SPACE;
    }
    err = load(&engine->nn, engine->model, model_bytes, NULL, 0, &found);
    if (err == WHIR_ERR_NN_ARENA) {
        engine->input_bytes = info->input_bytes = found.input_bytes;
        engine->output_bytes = info->output_bytes = found.output_bytes;
        info->arena_bytes = found.arena_bytes;
        info->state_bytes = sizeof(whir_nn_t);
        info->input_scale_bits = found.input_scale_bits;
        info->output_scale_bits = found.output_scale_bits;
        info->input_zero_point = found.input_zero_point;
        info->output_zero_point = found.output_zero_point;
        engine->block = malloc((size_t)found.arena_bytes + 15);
        err = engine->block == NULL ? WHIR_ERR_SPACE
                                    : load(&engine->nn, engine->model, model_bytes,
                                           engine->block + (-(uintptr_t)engine->block & 15), found.arena_bytes, &found);
    }
    info->error_at = engine->nn.error_at;
    return err;
}

host_nn_t *host_nn_open(const uint8_t *model, uint32_t model_bytes, int32_t planned, host_nn_info_t *info, int32_t *error)
{
    host_nn_t *engine = calloc(1, sizeof *engine);

    memset(info, 0, sizeof *info);
    *error = engine == NULL ? WHIR_ERR_SPACE : open_engine(engine, model, model_bytes, planned, info);
    if (*error < 0) {
        host_nn_close(engine);
        return NULL;
    }
    return engine;
}

void host_nn_close(host_nn_t *engine)
{
    if (engine != NULL) {
        free(engine->block);
        free(engine->model);
        free(engine);
    }
}

int32_t host_nn_run(host_nn_t *engine, const int8_t *inputs, int8_t *outputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int32_t err;

        memcpy(whir_nn_input(&engine->nn), inputs, engine->input_bytes);
        err = whir_nn_run(&engine->nn);
        if (err < 0) {
            return err;
        }
        memcpy(outputs, whir_nn_output(&engine->nn), engine->output_bytes);
        inputs += engine->input_bytes;
        outputs += engine->output_bytes;
    }
    return 0;
}

int32_t host_nn_write_plan(const uint8_t *model, uint32_t model_bytes, uint8_t *plan, uint32_t room)
{
    uint8_t *copy = copy_of(model, model_bytes);
    uint32_t error_at;
    int32_t length = copy == NULL ? WHIR_ERR_SPACE : whir_nn_write_plan(copy, model_bytes, plan, room, &error_at);

    free(copy);
    return length;
}

/* Field numbers of the TFLite schema. */
enum {
    MODEL_OPCODES = 1,
    MODEL_GRAPHS = 2,
    GRAPH_TENSORS = 0,
    GRAPH_INPUTS = 1,
    GRAPH_OUTPUTS = 2,
    GRAPH_OPERATORS = 3,
    TENSOR_SHAPE = 0,
    OPERATOR_OPCODE = 0,
    OPCODE_DEPRECATED = 0,
    OPCODE_BUILTIN = 3,
};

#define IDENTIFIER UINT32_C(0x334c4654) /* "TFL3" */

static void read_outline(whir_fb_t *fb, host_nn_outline_t *outline, uint32_t *codes, uint32_t room)
{
    whir_fb_table_t root = whir_fb_root(fb, IDENTIFIER);
    whir_fb_vector_t graphs = whir_fb_get_vector(fb, root, MODEL_GRAPHS, 4);
    whir_fb_vector_t opcodes = whir_fb_get_vector(fb, root, MODEL_OPCODES, 4);
    whir_fb_table_t graph = whir_fb_element(fb, graphs, 0);
    whir_fb_vector_t inputs = whir_fb_get_vector(fb, graph, GRAPH_INPUTS, 4);
    whir_fb_vector_t operators = whir_fb_get_vector(fb, graph, GRAPH_OPERATORS, 4);

    outline->inputs = inputs.count;
    outline->outputs = whir_fb_get_vector(fb, graph, GRAPH_OUTPUTS, 4).count;
    outline->operators = operators.count;
    if (inputs.count != 0) {
        whir_fb_vector_t tensors = whir_fb_get_vector(fb, graph, GRAPH_TENSORS, 4);
        whir_fb_table_t tensor = whir_fb_element(fb, tensors, whir_fb_u32(fb, inputs.at));
        whir_fb_vector_t shape = whir_fb_get_vector(fb, tensor, TENSOR_SHAPE, 4);

        outline->batch = shape.count != 0 ? (int32_t)whir_fb_u32(fb, shape.at) : 1;
    }
    for (uint32_t i = 0; i < operators.count && i < room; i++) {
        whir_fb_table_t op = whir_fb_element(fb, operators, i);
        whir_fb_table_t opcode = whir_fb_element(fb, opcodes, whir_fb_get_u32(fb, op, OPERATOR_OPCODE, 0));
        uint32_t old = whir_fb_get_u8(fb, opcode, OPCODE_DEPRECATED);

        codes[i] = whir_fb_get_u32(fb, opcode, OPCODE_BUILTIN, 0);
        codes[i] = codes[i] < old ? old : codes[i];
    }
}

int32_t host_nn_outline(const uint8_t *model, uint32_t model_bytes, host_nn_outline_t *outline, uint32_t *codes, uint32_t room)
{
    uint8_t *copy = copy_of(model, model_bytes);
    whir_fb_t fb = {copy, model_bytes <= INT32_MAX ? model_bytes : 0, 0};

    memset(outline, 0, sizeof *outline);
    if (copy == NULL) {
        return WHIR_ERR_SPACE;
    }
    read_outline(&fb, outline, codes, room);
    free(copy);
    return whir_fb_is_bad(&fb) ? WHIR_ERR_NN_SCHEMA : 0;
}

int32_t host_nn_has(uint32_t code)
{
    return whir_nn_op_find(code) >= 0;
}

static int factor_of(uint32_t a_bits, uint32_t b_bits, uint32_t c_bits, whir_nn_factor_t *factor)
{
    return whir_nn_real_is_valid(a_bits) && whir_nn_real_is_valid(b_bits) && whir_nn_real_is_valid(c_bits) &&
           whir_nn_factor(whir_nn_real(a_bits), whir_nn_real(b_bits), whir_nn_real(c_bits), factor);
}

void host_nn_factors(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t count, int32_t *multipliers,
                     int32_t *shifts)
{
    for (uint32_t i = 0; i < count; i++) {
        whir_nn_factor_t factor = {0, 0};

        shifts[i] = factor_of(a[i], b[i], c[i], &factor) ? factor.shift : 127;
        multipliers[i] = factor.multiplier;
    }
}

void host_nn_steps(int32_t six, const uint32_t *scales, uint32_t count, int32_t *steps)
{
    const whir_nn_real_t bound = whir_nn_real(six ? UINT32_C(0x40c00000) : UINT32_C(0x3f800000));

    for (uint32_t i = 0; i < count; i++) {
        steps[i] = whir_nn_real_steps(bound, whir_nn_real(scales[i]));
    }
}
