#include <string.h>

#include "nn_planned.h"

/* From a .tflite: the plan is made here, its records at the start of the arena. */

int whir_nn_load(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                 whir_model_info_t *info)
{
    uint32_t room = ((uintptr_t)arena & 15) == 0 ? arena_bytes : 0;
    whir_nn_planned_t planned;
    int err;

    memset(nn, 0, sizeof *nn);
    memset(info, 0, sizeof *info);
    err = whir_nn_lay(&planned, arena, room, model, model_bytes, &nn->error_at);
    if (err < 0) {
        return err;
    }
    nn->model = model;
    nn->model_bytes = model_bytes;
    return whir_nn_start(nn, &planned, arena, arena, arena_bytes, info);
}

int whir_nn_plan(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, whir_model_info_t *info)
{
    int err = whir_nn_load(nn, model, model_bytes, NULL, 0, info);

    return err == WHIR_ERR_NN_ARENA ? 0 : err;
}

int whir_nn_bind(whir_nn_t *nn, uint8_t *arena, uint32_t arena_bytes)
{
    whir_model_info_t info;

    return nn->arena_bytes == 0 ? WHIR_ERR_ARG : whir_nn_load(nn, nn->model, nn->model_bytes, arena, arena_bytes, &info);
}
