#ifndef WHIR_FEATURES_H
#define WHIR_FEATURES_H

#include <stdint.h>

#include "whir/params.h"

/* Scratch that extraction needs, int32 words: one complex FFT of half the window, in place. */
#define WHIR_FEATURES_SCRATCH_WORDS (WHIR_WINDOW_SAMPLES_MAX)

/*
 * Features of one window, in fixed point, before scaling. Formulas and units: docs/SPEC.md. All integer.
 *   raw:   per sample and axis (sample-major as in the window): counts minus the window's mean of that axis; level
 *          relative: divided by the RMS over all axes, Q10.
 *   bands: axis-major; per axis the bands, log2 of the Hann-windowed power in counts^2, Q8, then the statistics chosen, in
 *          the order RMS (log2 of counts, Q8), peak (log2 of counts, Q8), crest factor (log2, Q8), kurtosis (log2, Q8);
 *          level relative: log2 of the power summed over the bands of all axes is subtracted from the bands, and log2 of
 *          the RMS over all axes from RMS and peak. Order bands, where there are any, stand behind the bands and are of the
 *          same kind; their edges follow the shaft's speed.
 * window: window_samples * channels int16, sample-major. shaft_mhz: the shaft's speed, 1e-3 turns a second, for which the
 * features must be defined (whir_features_defined). out: whir_params_feature_count() int32.
 */
void whir_features_extract(const whir_params_t *params, const int16_t *window, uint32_t shaft_mhz, int32_t *scratch,
                           int32_t *out);

/* 1 when these features exist at this speed of the shaft: always without order bands; with them not at 0 (unknown), nor where
 * the topmost edge reaches half the rate or a band is narrower than one bin of the FFT. */
int whir_features_defined(const whir_params_t *params, uint32_t shaft_mhz);

/* Scales features to the model's int8 input: clamp8(((feature - offset) * gain_q16 + 2^15) >> 16). The scaler must be complete
 * (whir_params_complete). */
void whir_features_quantize(const whir_params_t *params, const int32_t *features, int8_t *input);

/* AC RMS over all axes of a window, in counts (integer square root of the summed variances). */
uint32_t whir_features_rms(const whir_params_t *params, const int16_t *window);

#endif
