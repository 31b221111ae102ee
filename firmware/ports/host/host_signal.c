#include "host_signal.h"

#include <stddef.h>
#include <string.h>

#include "seams.h"
#include "whir/condition.h"
#include "whir/features.h"
#include "whir/window.h"

int32_t host_params_check(const uint8_t *tlv, uint32_t bytes)
{
    whir_params_t params;
    int err = whir_params_parse(&params, tlv, bytes);

    return err < 0 ? err : whir_params_complete(&params);
}

int32_t host_params_feature_count(const uint8_t *tlv, uint32_t bytes)
{
    whir_params_t params;
    int err = whir_params_parse(&params, tlv, bytes);

    return err < 0 ? err : (int32_t)whir_params_feature_count(&params);
}

int32_t host_features_extract(const uint8_t *tlv, uint32_t bytes, const int16_t *windows, const uint32_t *shaft_mhz,
                              uint32_t count, int32_t *out)
{
    int32_t scratch[WHIR_FEATURES_SCRATCH_WORDS];
    whir_params_t params;
    uint32_t words, features;
    int err = whir_params_parse(&params, tlv, bytes);

    if (err < 0) {
        return err;
    }
    words = (uint32_t)params.window_samples * params.channels;
    features = whir_params_feature_count(&params);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t speed = shaft_mhz == NULL ? 0 : shaft_mhz[i];
        if (!whir_features_defined(&params, speed)) {
            return WHIR_ERR_BUNDLE_FEATURES;
        }
        whir_features_extract(&params, windows + (uint64_t)i * words, speed, scratch, out + (uint64_t)i * features);
    }
    return 0;
}

int32_t host_features_quantize(const uint8_t *tlv, uint32_t bytes, const int32_t *features, uint32_t count, int8_t *out)
{
    whir_params_t params;
    uint32_t per_window;
    int err = whir_params_parse(&params, tlv, bytes);

    if (err < 0) {
        return err;
    }
    if (!whir_params_complete(&params)) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    per_window = whir_params_feature_count(&params);
    for (uint32_t i = 0; i < count; i++) {
        whir_features_quantize(&params, features + (uint64_t)i * per_window, out + (uint64_t)i * per_window);
    }
    return 0;
}

int32_t host_features_rms(const uint8_t *tlv, uint32_t bytes, const int16_t *windows, uint32_t count, uint32_t *out)
{
    whir_params_t params;
    uint32_t words;
    int err = whir_params_parse(&params, tlv, bytes);

    if (err < 0) {
        return err;
    }
    words = (uint32_t)params.window_samples * params.channels;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = whir_features_rms(&params, windows + (uint64_t)i * words);
    }
    return 0;
}

whir_sensor_info_t host_sensor_info(const host_sensor_t *sensor)
{
    return (whir_sensor_info_t){.name = "host",
                                .rate_mhz = sensor->rate_mhz,
                                .bandwidth_hz = sensor->bandwidth_hz,
                                .range_milli = sensor->range_milli,
                                .noise_ug_rthz = sensor->noise_ug_rthz,
                                .lsb_nano = sensor->lsb_nano,
                                .unit = sensor->unit,
                                .channels = sensor->channels};
}

int32_t host_condition(const uint8_t *tlv, uint32_t bytes, const host_sensor_t *sensor, const int16_t *samples, uint32_t count,
                       int16_t *out, uint8_t *marks)
{
    whir_condition_t condition;
    whir_envelope_t envelope;
    whir_params_t params;
    whir_sensor_info_t info = host_sensor_info(sensor);
    int32_t made = 0;
    int err = whir_params_parse(&params, tlv, bytes);

    if (err >= 0) {
        err = whir_condition_init(&condition, &params, &info, &envelope);
    }
    if (err < 0) {
        return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int16_t *sample = samples + (uint64_t)i * sensor->channels;
        int kind = whir_condition_push(&condition, sample, out + (uint64_t)made * params.channels);
        if (kind != 0) {
            marks[made++] = kind == WHIR_CONDITION_CLIPPED ? WHIR_QUALITY_CLIPPED : 0;
        }
    }
    return made;
}

uint32_t host_condition_state_bytes(void)
{
    return (uint32_t)sizeof(whir_condition_t);
}

int32_t host_windows(const uint8_t *tlv, uint32_t bytes, uint32_t hop, const int16_t *samples, const uint8_t *marks,
                     uint32_t count, int16_t *out, uint8_t *quality, uint32_t max)
{
    int16_t buffer[WHIR_WINDOW_SAMPLES_MAX * WHIR_WINDOW_CHANNELS_MAX];
    whir_window_t window;
    whir_params_t params;
    uint32_t words, made = 0;
    int err = whir_params_parse(&params, tlv, bytes);

    if (err < 0) {
        return err;
    }
    if (hop < WHIR_PARAM_HOP_SAMPLES_MIN || hop > WHIR_PARAM_HOP_SAMPLES_MAX) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    params.hop_samples = (uint16_t)hop;
    words = (uint32_t)params.window_samples * params.channels;
    whir_window_init(&window, &params, buffer);
    for (uint32_t i = 0; i < count && made < max; i++) {
        int due;
        if ((marks[i] & WHIR_QUALITY_GAP) != 0) {
            whir_window_gap(&window);
        }
        due = whir_window_push(&window, samples + (uint64_t)i * params.channels);
        if ((marks[i] & WHIR_QUALITY_CLIPPED) != 0) {
            whir_window_clip(&window);
        }
        if (due) {
            quality[made] = whir_window_read(&window);
            memcpy(out + (uint64_t)made * words, buffer, words * sizeof out[0]);
            made++;
        }
    }
    return (int32_t)made;
}
