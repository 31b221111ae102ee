#include "orders.h"

#include "fft.h"
#include "fixed.h"
#include "whir/bytes.h"

#define BIN_Q16 (1u << 16)
#define LINE_PARTS 64u                   /* a line reaches one part in so many of its order to both sides: bearings slip */
#define LINE_LEAST_Q16 (3 * BIN_Q16 / 2) /* and no less than the window's own width */
#define AROUND 6u                        /* what is around it ends at so many times its reach */

/* An order in bins, Q16, counted from the lower end of bin 0. */
static uint64_t order_q16(const uint8_t *order_q8, uint64_t bins_q24)
{
    return ((whir_le16(order_q8) * bins_q24) >> 16) + BIN_Q16 / 2;
}

/* An edge in bins, Q16, counted from the lower end of bin 0. */
static uint64_t edge_q16(const whir_params_t *params, uint64_t bins_q24, uint32_t edge)
{
    return order_q16(params->order_edges_q8 + 2 * edge, bins_q24);
}

typedef struct {
    uint64_t from, own_from, own_to, to;
} line_t;

static line_t line_at(const whir_params_t *params, uint64_t bins_q24, uint32_t line)
{
    uint64_t centre = order_q16(params->order_lines_q8 + 2 * line, bins_q24);
    uint64_t reach = (centre - BIN_Q16 / 2) / LINE_PARTS;
    line_t at;

    reach = reach > LINE_LEAST_Q16 ? reach : LINE_LEAST_Q16;
    at.own_from = centre > reach ? centre - reach : 0;
    at.own_to = centre + reach;
    at.to = centre + AROUND * reach;
    /* bin 0 and half of bin 1 hold what the window leaks of the mean */
    at.from = centre > AROUND * reach + 2 * BIN_Q16 ? centre - AROUND * reach : 2 * BIN_Q16;
    return at;
}

uint64_t whir_orders_scale(const whir_params_t *params, uint32_t shaft_mhz)
{
    const uint64_t end = (uint64_t)params->window_samples / 2 * BIN_Q16;
    uint64_t bins_q24;

    if (shaft_mhz / 1000 >= params->rate_hz / 2) { /* and so everything below fits 64 bits */
        return 0;
    }
    bins_q24 = (((uint64_t)shaft_mhz * params->window_samples) << 24) / ((uint64_t)params->rate_hz * 1000);
    for (uint32_t band = 0; band < params->orders_per_axis; band++) {
        uint64_t to = edge_q16(params, bins_q24, band + 1);
        if (to > end || to - edge_q16(params, bins_q24, band) < BIN_Q16) {
            return 0;
        }
    }
    for (uint32_t line = 0; line < params->lines_per_axis; line++) {
        line_t at = line_at(params, bins_q24, line);
        if (at.to > end || at.own_from < at.from) {
            return 0;
        }
    }
    return bins_q24;
}

/* power * share / 2^16, for a power under 2^60. */
static uint64_t share_of(uint64_t power, uint32_t share)
{
    return share == BIN_Q16 ? power : (power >> 16) * share + (((power & 0xFFFF) * share) >> 16);
}

static uint64_t power_between(const whir_params_t *params, const int32_t *z, uint32_t from, uint32_t to)
{
    uint64_t sum = 0;

    while (from < to) {
        uint32_t bin = from / BIN_Q16;
        uint32_t end = (bin + 1) * BIN_Q16;
        end = end < to ? end : to;
        sum += share_of(whir_fft_power(z, params->window_samples, bin, bin + 1), end - from);
        from = end;
    }
    return sum;
}

uint64_t whir_orders_power(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, uint32_t band)
{
    return power_between(params, z, (uint32_t)edge_q16(params, bins_q24, band), (uint32_t)edge_q16(params, bins_q24, band + 1));
}

uint64_t whir_lines_power(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, uint32_t line,
                          whir_line_span_t span)
{
    line_t at = line_at(params, bins_q24, line);

    if (span == WHIR_LINE_OWN) {
        return power_between(params, z, (uint32_t)at.own_from, (uint32_t)at.own_to);
    }
    return power_between(params, z, (uint32_t)at.from, (uint32_t)at.own_from) +
           power_between(params, z, (uint32_t)at.own_to, (uint32_t)at.to);
}

int32_t whir_lines_log2(const whir_params_t *params, uint64_t bins_q24, uint32_t line, uint64_t own, uint64_t around)
{
    line_t at = line_at(params, bins_q24, line);
    uint64_t own_width = at.own_to - at.own_from;

    /* one more on either side, far below what the FFT can tell: so silence is 0 and nothing is without a logarithm */
    return whir_log2_q16(own + 1) - whir_log2_q16(around + 1) + whir_log2_q16(at.to - at.from - own_width) -
           whir_log2_q16(own_width);
}
