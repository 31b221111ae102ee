#include "orders.h"

#include "fft.h"
#include "whir/bytes.h"

#define BIN_Q16 (1u << 16)

/* An edge in bins, Q16, counted from the lower end of bin 0. */
static uint64_t edge_q16(const whir_params_t *params, uint64_t bins_q24, uint32_t edge)
{
    return ((whir_le16(params->order_edges_q8 + 2 * edge) * bins_q24) >> 16) + BIN_Q16 / 2;
}

uint64_t whir_orders_scale(const whir_params_t *params, uint32_t shaft_mhz)
{
    uint64_t bins_q24;

    if (shaft_mhz / 1000 >= params->rate_hz / 2) { /* and so everything below fits 64 bits */
        return 0;
    }
    bins_q24 = (((uint64_t)shaft_mhz * params->window_samples) << 24) / ((uint64_t)params->rate_hz * 1000);
    if (edge_q16(params, bins_q24, params->orders_per_axis) > (uint64_t)params->window_samples / 2 * BIN_Q16) {
        return 0;
    }
    for (uint32_t band = 0; band < params->orders_per_axis; band++) {
        if (edge_q16(params, bins_q24, band + 1) - edge_q16(params, bins_q24, band) < BIN_Q16) {
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

uint64_t whir_orders_power(const whir_params_t *params, uint64_t bins_q24, const int32_t *z, uint32_t band)
{
    uint32_t from = (uint32_t)edge_q16(params, bins_q24, band);
    uint32_t to = (uint32_t)edge_q16(params, bins_q24, band + 1);
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
