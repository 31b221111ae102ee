#ifndef WHIR_MAKE_BUNDLE_H
#define WHIR_MAKE_BUNDLE_H

#include <stdint.h>

#include "whir/port/inference.h"

/*
 * Bundles of the shape of `fft32` (32 bands of one axis, two classes) with any number of model bytes, written a second time
 * here, in C: what whir_node/bundle.py writes is read by the same core. The engine that belongs to them hashes model and input,
 * so that one changed byte of either changes its output.
 */
typedef struct bundle_wish {
    const char *version; /* model version: what tells old from new */
    uint32_t counter;
    uint32_t model_bytes;
    uint32_t tensors; /* golden tensors */
    uint8_t foreign_key;
    uint8_t wrong_tensor; /* one output byte of the last golden tensor is wrong */
    uint8_t wrong_window; /* of the last golden window: 1 a feature byte, 2 a permille */
} bundle_wish_t;

/* Returns the bundle's size; `data` has room for `room` bytes. */
uint32_t make_bundle(const bundle_wish_t *wish, uint8_t *data, uint32_t room);
/* Header CRC and signature once more, after a change that only the key's owner could make. */
void make_bundle_sign(uint8_t *data, uint32_t bytes, int foreign);
/* Value of a manifest tag, its length in `length`. */
uint8_t *make_bundle_tag(uint8_t *data, uint32_t tag, uint32_t *length);

/* The engine; `info` as its load gives it. */
whir_inference_t *make_bundle_engine(void);

#endif
