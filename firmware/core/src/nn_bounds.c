#include "nn_layer.h"

static uint32_t times(uint32_t a, uint32_t b)
{
    return a != 0 && b <= WHIR_NN_ELEMENTS_MAX / a ? a * b : 0;
}

uint32_t whir_nn_bounds_product(uint32_t a, uint32_t b, uint32_t c)
{
    return times(times(a, b), c);
}

bool whir_nn_bounds_inside(uint32_t at, uint32_t bytes, uint32_t end)
{
    return bytes != 0 && at <= end && bytes <= end - at;
}

bool whir_nn_bounds_input(const whir_nn_bounds_t *bounds, uint32_t at, uint32_t bytes)
{
    return (at & WHIR_NN_IN_MODEL) != 0 ? whir_nn_bounds_inside(at & ~WHIR_NN_IN_MODEL, bytes, bounds->model_bytes)
                                        : whir_nn_bounds_inside(at, bytes, bounds->tensor_bytes);
}

bool whir_nn_bounds_apart(const whir_nn_layer_t *layer, uint32_t in_bytes, uint32_t out_bytes)
{
    return layer->input + in_bytes <= layer->output || layer->output + out_bytes <= layer->input;
}

bool whir_nn_bounds_both(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, uint32_t in_bytes, uint32_t out_bytes)
{
    return whir_nn_bounds_inside(layer->input, in_bytes, bounds->tensor_bytes) &&
           whir_nn_bounds_inside(layer->output, out_bytes, bounds->tensor_bytes);
}

bool whir_nn_bounds_layer(const whir_nn_bounds_t *bounds, const whir_nn_layer_t *layer, uint32_t in_bytes, uint32_t out_bytes)
{
    return whir_nn_bounds_both(bounds, layer, in_bytes, out_bytes) &&
           (layer->input == layer->output || whir_nn_bounds_apart(layer, in_bytes, out_bytes));
}

bool whir_nn_bounds_words(const whir_nn_bounds_t *bounds, uint32_t at, uint32_t count)
{
    return (at & 3) == 0 && whir_nn_bounds_inside(at, 4 * count, bounds->model_bytes);
}
