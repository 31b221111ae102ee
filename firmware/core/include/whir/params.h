#ifndef WHIR_PARAMS_H
#define WHIR_PARAMS_H

#include <stdint.h>

#include "whir/contract.h"

/*
 * Feature parameters: one struct field per [[param]] of contracts/features.toml, read from the manifest's TLV bytes.
 * Arrays stay where they are (flash) as unaligned little-endian bytes; the accessors below read them.
 */
typedef struct whir_params {
    uint16_t extractor_version;
    uint32_t rate_hz;
    uint32_t bandwidth_hz;
    uint32_t range_mg;
    uint32_t noise_ug_rthz_max;
    uint8_t channels;
    uint8_t axes;
    uint8_t unit;
    uint32_t lsb_nano;
    uint8_t envelope_axes; /* 0: none, and then the band is 0 too */
    uint32_t envelope_low_hz;
    uint32_t envelope_high_hz;
    uint8_t across_axes; /* 0: each axis its own */
    uint16_t window_samples;
    uint16_t hop_samples;
    uint8_t verdict_windows;
    uint8_t kind;
    uint8_t level;
    uint8_t stats;
    const uint8_t *band_edges_bins; /* u16 each */
    const uint8_t *order_edges_q8;  /* u16 each */
    const uint8_t *order_lines_q8;  /* u16 each */
    const uint8_t *offset;          /* i32 each */
    const uint8_t *gain_q16;        /* u32 each */
    uint16_t bands_per_axis;        /* number of edges - 1; 0 for raw */
    uint16_t orders_per_axis;       /* order bands: number of edges - 1, or 0 */
    uint16_t lines_per_axis;        /* order lines */
    uint16_t scalers;               /* entries of offset and of gain_q16 */
} whir_params_t;

/*
 * Parses and checks the parameter TLVs (tags 0x0100..0x01FF, ascending). `tlv` must outlive `params`.
 * 0; WHIR_ERR_BUNDLE_MANIFEST for broken TLVs; WHIR_ERR_BUNDLE_FEATURES for a missing parameter, one outside its limits,
 * or ones that do not fit together (channels against axes, edges against window, scalers against feature count). An absent
 * scaler (no entries) parses: see whir_params_complete.
 */
int whir_params_parse(whir_params_t *params, const uint8_t *tlv, uint32_t bytes);

/* Number of features per window: raw: window_samples * channels; bands: (across_axes ? 1 : channels) * (bands_per_axis +
 * orders_per_axis + lines_per_axis + stats set). */
uint32_t whir_params_feature_count(const whir_params_t *params);

/* 1 when features follow the shaft's speed, so that it must be known. */
int whir_params_by_order(const whir_params_t *params);

/* 1 when the scaler has all its entries (raw: one per channel; bands: one per feature), 0 while there is none yet: features
 * can then be extracted, not quantized. A bundle must be complete. */
int whir_params_complete(const whir_params_t *params);

/* CRC-32 over everything that a feature's value depends on: two bundles for which it is equal have the same features, whatever
 * their model, scaler, windows' hop or verdict. */
uint32_t whir_params_extraction(const whir_params_t *params);

#endif
