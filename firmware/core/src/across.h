#ifndef WHIR_ACROSS_H
#define WHIR_ACROSS_H

#include "axis.h"
#include "whir/params.h"

/* Features of all axes together (across_axes = sum): every power and every square is summed over the axes, so that it is the
 * trace of a matrix and no rotation of the sensor changes it. The order and the units are those of one axis. The axes' peaks
 * are lost; one of them at least is not silent. `bins_q24`: whir_orders_scale. */
void whir_across_extract(const whir_params_t *params, whir_axis_t *axes, uint64_t bins_q24, int32_t *scratch, int32_t *out);

#endif
