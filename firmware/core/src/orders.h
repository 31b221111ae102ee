#ifndef WHIR_ORDERS_H
#define WHIR_ORDERS_H

#include <stdint.h>

#include "whir/params.h"

/*
 * Order bands: power between two frequencies that follow the shaft. An order is a frequency over the shaft's own, so that a
 * fault's lines stay in their bands when the speed changes.
 */

/* FFT bins per order, Q24, at this speed (1e-3 turns a second); 0 where the order bands are not defined: no speed, the
 * topmost edge not under half the rate, or a band narrower than one bin. */
uint64_t whir_orders_scale(const whir_params_t *params, uint32_t shaft_mhz);

/* |2 X|^2 summed over one order band, after whir_fft_run. A bin reaches half a bin to both sides; one that an edge cuts gives
 * the share that lies in the band. `bins_q24` is not 0. */
uint64_t whir_orders_power(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, uint32_t band);

#endif
