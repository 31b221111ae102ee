#include <string.h>

#include "nn_planned.h"

int whir_nn_write_plan(const uint8_t *model, uint32_t model_bytes, uint8_t *plan, uint32_t room, uint32_t *error_at)
{
    whir_nn_planned_t planned;
    int err = whir_nn_lay(&planned, plan, room, model, model_bytes, error_at);

    if (err < 0) {
        return err;
    }
    if (room < planned.records_bytes || room - planned.records_bytes < sizeof planned) {
        return WHIR_ERR_SPACE;
    }
    planned.magic = WHIR_NN_PLANNED_MAGIC;
    memcpy(plan + planned.records_bytes, &planned, sizeof planned);
    return (int)(planned.records_bytes + sizeof planned);
}
