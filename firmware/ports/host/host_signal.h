#ifndef WHIR_HOST_SIGNAL_H
#define WHIR_HOST_SIGNAL_H

#include <stdint.h>

/*
 * The signal path over whole arrays. `tlv` is the parameters' manifest bytes; windows and samples are sample-major.
 * All return a negative code, or what is said.
 */

/* 1 when the scaler is complete, 0 when there is none. */
int32_t host_params_check(const uint8_t *tlv, uint32_t bytes);
/* Features per window. */
int32_t host_params_feature_count(const uint8_t *tlv, uint32_t bytes);

/* shaft_mhz: the shaft's speed for each window, or NULL. WHIR_ERR_BUNDLE_FEATURES where the features are not defined at it. */
int32_t host_features_extract(const uint8_t *tlv, uint32_t bytes, const int16_t *windows, const uint32_t *shaft_mhz,
                              uint32_t count, int32_t *out);
int32_t host_features_quantize(const uint8_t *tlv, uint32_t bytes, const int32_t *features, uint32_t count, int8_t *out);
int32_t host_features_rms(const uint8_t *tlv, uint32_t bytes, const int16_t *windows, uint32_t count, uint32_t *out);

typedef struct host_sensor {
    uint32_t rate_mhz;
    uint32_t bandwidth_hz;
    uint32_t range_milli;
    uint32_t noise_ug_rthz;
    uint32_t lsb_nano;
    uint8_t unit;
    uint8_t channels;
} host_sensor_t;

/* Number of output samples; `out` and `marks` hold at least `count` of them. marks: WHIR_QUALITY_CLIPPED or 0 for each. */
int32_t host_condition(const uint8_t *tlv, uint32_t bytes, const host_sensor_t *sensor, const int16_t *samples, uint32_t count,
                       int16_t *out, uint8_t *marks);
/* Bytes of state that one stream's conditioning takes. */
uint32_t host_condition_state_bytes(void);

/*
 * Number of windows, `hop` samples apart. marks: for each sample, WHIR_QUALITY_CLIPPED when it rests on clipped input,
 * WHIR_QUALITY_GAP when samples were lost before it. quality: one byte per window. At most `max` windows are written.
 */
int32_t host_windows(const uint8_t *tlv, uint32_t bytes, uint32_t hop, const int16_t *samples, const uint8_t *marks,
                     uint32_t count, int16_t *out, uint8_t *quality, uint32_t max);

#endif
