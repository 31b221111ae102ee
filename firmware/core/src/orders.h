#ifndef WHIR_ORDERS_H
#define WHIR_ORDERS_H

#include <stdint.h>

#include "whir/params.h"

/*
 * Features by order. An order is a frequency over the shaft's own, so that a fault's lines stay where they are when the speed
 * changes. Order bands: power between two frequencies. Order lines: power near one against what lies around it.
 */

/* FFT bins per order, Q24, at this speed (1e-3 turns a second); 0 where the features are not defined: no speed, something of
 * them not under half the rate, a band narrower than one bin, or a line that reaches under bin 1. */
uint64_t whir_orders_scale(const whir_params_t *params, uint32_t shaft_mhz);

/* |2 X|^2 summed over one order band, after whir_fft_run. A bin reaches half a bin to both sides; one that an edge cuts gives
 * the share that lies in the band. `bins_q24` is not 0. */
uint64_t whir_orders_power(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, uint32_t band);

/* The same of one line's own span, or of the two beside it. */
typedef enum { WHIR_LINE_OWN, WHIR_LINE_AROUND, WHIR_LINE_SPANS } whir_line_span_t;
uint64_t whir_lines_power(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, uint32_t line,
                          whir_line_span_t span);
/* log2 of mean power in the line over mean power around it, Q16, from the two. */
int32_t whir_lines_log2(const whir_params_t *params, uint64_t bins_q24, uint32_t line, uint64_t own, uint64_t around);

#endif
