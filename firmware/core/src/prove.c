#include <string.h>

#include "golden.h"
#include "whir/bytes.h"
#include "whir/decide.h"
#include "whir/features.h"
#include "whir/update.h"

static int mismatch(whir_golden_mismatch_t *found, uint32_t vector, uint32_t byte, int32_t got, int32_t wanted)
{
    *found = (whir_golden_mismatch_t){vector, byte, got, wanted};
    return WHIR_ERR_BUNDLE_GOLDEN;
}

/* Bytes against bytes; `first` is the number of bytes[0] in the report. */
static int bytes_compare(whir_golden_mismatch_t *found, uint32_t vector, uint32_t first, const int8_t *got,
                         const uint8_t *wanted, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        if (got[i] != (int8_t)wanted[i]) {
            return mismatch(found, vector, first + i, got[i], (int8_t)wanted[i]);
        }
    }
    return 0;
}

static int tensors_prove(whir_golden_mismatch_t *found, const golden_tensors_t *golden, whir_inference_t *engine)
{
    for (uint32_t i = 0; i < golden->count; i++) {
        const uint8_t *entry = golden->entries + i * golden->entry_bytes;
        int8_t output[WHIR_VERDICT_CLASSES_MAX];
        int err = engine->invoke(engine, (const int8_t *)entry, output);

        if (err == 0) {
            err = bytes_compare(found, i, 0, output, entry + golden->input_bytes, golden->output_bytes);
        }
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* One window all the way: samples, features, input bytes, inference, permille. */
static int window_prove(whir_golden_mismatch_t *found, const golden_windows_t *golden, uint32_t vector, const uint8_t *entry,
                        const whir_bundle_t *bundle, whir_inference_t *engine, const whir_model_info_t *info,
                        const whir_golden_scratch_t *scratch)
{
    const uint8_t *speed = entry + golden->window_bytes;
    const uint8_t *features = speed + golden->speed_bytes;
    uint32_t shaft_mhz = golden->speed_bytes == 0 ? 0 : whir_le32(speed);
    const uint8_t *permille = features + golden->feature_bytes;
    int8_t output[WHIR_VERDICT_CLASSES_MAX];
    int err;

    if (!whir_features_defined(&bundle->params, shaft_mhz)) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    for (uint32_t i = 0; i < golden->window_bytes / 2; i++) {
        scratch->window[i] = (int16_t)whir_le16(entry + 2 * i);
    }
    whir_features_extract(&bundle->params, scratch->window, shaft_mhz, scratch->fft, scratch->features);
    whir_features_quantize(&bundle->params, scratch->features, scratch->input);
    err = bytes_compare(found, vector, 0, scratch->input, features, golden->feature_bytes);
    if (err == 0) {
        err = engine->invoke(engine, scratch->input, output);
    }
    for (uint32_t i = 0; err == 0 && i < golden->classes; i++) {
        int32_t got = whir_permille(output[i], info->output_scale_bits, info->output_zero_point);
        int32_t wanted = whir_le16(permille + 2 * i);
        if (got != wanted) {
            err = mismatch(found, vector, golden->feature_bytes + i, got, wanted);
        }
    }
    return err;
}

int whir_golden_prove(const whir_bundle_t *bundle, whir_inference_t *engine, const whir_model_info_t *info,
                      const whir_golden_scratch_t *scratch, whir_golden_mismatch_t *found)
{
    uint32_t features = whir_params_feature_count(&bundle->params);
    golden_tensors_t tensors;
    golden_windows_t windows;
    int err;

    if (info->input_bytes != features || info->output_bytes != bundle->class_count) {
        return WHIR_ERR_NN_SHAPE;
    }
    if (features > scratch->input_bytes || features > scratch->feature_words ||
        (uint32_t)bundle->params.window_samples * bundle->params.channels > scratch->window_words) {
        return WHIR_ERR_SPACE;
    }
    err = whir_golden_tensors_open(&tensors, bundle);
    if (err == 0) {
        err = whir_golden_windows_open(&windows, bundle);
    }
    if (err == 0) {
        err = tensors_prove(found, &tensors, engine);
    }
    for (uint32_t i = 0; err == 0 && i < windows.count; i++) {
        err = window_prove(found, &windows, tensors.count + i, windows.entries + i * windows.entry_bytes, bundle, engine, info,
                           scratch);
    }
    return err < 0 ? err : (int)(tensors.count + windows.count);
}

int whir_update_prove(whir_update_t *u, const whir_bundle_t *bundle, whir_inference_t *engine, const whir_model_info_t *info,
                      const whir_golden_scratch_t *scratch)
{
    int err;

    if (u->phase != WHIR_UPDATE_PROVE) {
        return WHIR_ERR_STATE;
    }
    whir_update_abort(u); /* whatever goes wrong below; only a proven bundle gets further */
    err = whir_golden_prove(bundle, engine, info, scratch, &u->mismatch);
    if (err < 0) {
        return err;
    }
    u->phase = WHIR_UPDATE_PROVEN;
    return 0;
}
