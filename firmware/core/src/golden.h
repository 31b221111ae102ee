#ifndef WHIR_GOLDEN_H
#define WHIR_GOLDEN_H

#include <stdint.h>

#include "whir/bundle.h"

/* The golden parts of a bundle, as tables of equal entries in flash. Layout: contracts/bundle.toml. */
typedef struct golden_tensors {
    const uint8_t *entries; /* each: input, output (int8) */
    uint32_t count, entry_bytes;
    uint32_t input_bytes, output_bytes;
} golden_tensors_t;

typedef struct golden_windows {
    const uint8_t
        *entries; /* each: window (int16), with order bands the shaft's speed (u32), features (int8), permille (u16) */
    uint32_t count, entry_bytes;
    uint32_t window_bytes, speed_bytes, feature_bytes, classes;
} golden_windows_t;

/* Both check the part against the bundle's own parameters and classes: 0 or WHIR_ERR_BUNDLE_MANIFEST. */
int whir_golden_tensors_open(golden_tensors_t *golden, const whir_bundle_t *bundle);
int whir_golden_windows_open(golden_windows_t *golden, const whir_bundle_t *bundle);

#endif
