#ifndef WHIR_WASM_H
#define WHIR_WASM_H

#include <stdint.h>

/*
 * The whole node in a browser: one whir_node_t with a flash in memory. The page (fleet/whir_fleet/web/src/node.ts) is the
 * only caller; pointers are offsets in the module's memory. Functions that return int give 0 or a count, or a negative code
 * of the core.
 */
#define EXPORT(name) __attribute__((export_name(#name))) name
#define IMPORT(name) __attribute__((import_module("whir"), import_name(#name))) name

/* What the page offers. Text is the core's, valid during the call. publish and fetch: 0, or a negative code. */
int IMPORT(publish)(const char *topic, const char *payload, uint32_t bytes, int retained);
int IMPORT(fetch)(const char *url, uint32_t bytes);
void IMPORT(output)(uint8_t severity);
/* What the fleet asks of the board: boot again once this call has returned, and blink for so long. */
void IMPORT(restart)(int forget_settings);
void IMPORT(identify)(uint32_t seconds);
/* A window was classified: wasm_features, wasm_input and wasm_scores hold what became of it. */
void IMPORT(window)(void);
/* A verdict was given: the getters of `verdict` and `alert` below hold it. */
void IMPORT(verdict)(void);

/* Memory through which samples, bundles and commands come in. */
uint8_t *EXPORT(wasm_buffer)(void);
uint32_t EXPORT(wasm_buffer_bytes)(void);

/*
 * WebCrypto verifies before the core asks, because it cannot answer at once: the page vouches for a signature (in the buffer:
 * SHA-256 digest, 32 bytes, then r and s, 32 each) that it found valid for `key_id`. The core computes its own digest, and a
 * signature that nobody vouched for is invalid. The last WASM_VOUCHERS are kept.
 */
#define WASM_VOUCHERS 8
void EXPORT(wasm_vouch)(uint32_t key_id);

/* A new flash with the buffer's bundle in slot a, in service, as the factory writes it. */
int EXPORT(wasm_factory)(uint32_t bytes);
/* Boots at time 0 with this sensor on the node, and this machine under it (all 0: nobody has said). A model that the core
 * refuses is no error here: the event `boot` has the code, and the node runs and says no_model. */
int EXPORT(wasm_boot)(uint32_t rate_mhz, uint32_t bandwidth_hz, uint32_t range_milli, uint32_t noise_ug_rthz, uint32_t lsb_nano,
                      uint32_t unit, uint32_t channels, uint32_t power_w, uint32_t group, uint32_t foundation,
                      uint32_t calibrated);
/* `frames` samples of the buffer (int16, sample-major), with a step each 20 ms in between. Returns the number of conditioned
 * samples that came of them; wasm_conditioned points at the last of them, at most WASM_CONDITIONED_MAX. */
#define WASM_CONDITIONED_MAX 4096u
int EXPORT(wasm_run)(uint32_t frames);
const int16_t *EXPORT(wasm_conditioned)(void);
uint32_t EXPORT(wasm_now_ms)(void);
/* Samples were lost before the next. */
void EXPORT(wasm_gap)(void);
/* One message from `cmd`, in the buffer. */
int EXPORT(wasm_command)(uint32_t bytes);
/* Bytes of the bundle that fetch asked for, in order; WHIR_ERR_BUSY: the same again later. The end: 0, or what failed. */
int EXPORT(wasm_bundle_data)(uint32_t bytes);
int EXPORT(wasm_bundle_end)(int error);

/* The model in service; what follows is valid only while there is one. */
int EXPORT(wasm_serving)(void);
const char *EXPORT(wasm_model_name)(void);
const char *EXPORT(wasm_model_version)(void);
uint32_t EXPORT(wasm_model_bytes)(void);
uint32_t EXPORT(wasm_class_count)(void);
const char *EXPORT(wasm_class_name)(uint32_t i);
/* Its parameters. */
uint32_t EXPORT(wasm_rate_hz)(void);
uint32_t EXPORT(wasm_lsb_nano)(void);
uint32_t EXPORT(wasm_unit)(void);
uint32_t EXPORT(wasm_axes)(void);
uint32_t EXPORT(wasm_channels)(void);
uint32_t EXPORT(wasm_window_samples)(void);
uint32_t EXPORT(wasm_kind)(void);
uint32_t EXPORT(wasm_bands_per_axis)(void);
uint32_t EXPORT(wasm_band_edge)(uint32_t i);
uint32_t EXPORT(wasm_feature_count)(void);

/* The window classified last. */
const int32_t *EXPORT(wasm_features)(void);
const int8_t *EXPORT(wasm_input)(void);
const int8_t *EXPORT(wasm_scores)(void);

/* The latest verdict; top -1 is unknown, and quality says why. */
int EXPORT(wasm_verdict_top)(void);
uint32_t EXPORT(wasm_verdict_permille)(uint32_t i);
uint32_t EXPORT(wasm_verdict_windows)(void);
uint32_t EXPORT(wasm_verdict_quality)(void);
uint32_t EXPORT(wasm_verdict_rms_counts)(void);
/* WHIR_NOVELTY_NONE: no baseline. */
uint32_t EXPORT(wasm_verdict_novelty)(void);
uint32_t EXPORT(wasm_verdict_zone)(void);
uint32_t EXPORT(wasm_verdict_zone_reason)(void);
uint32_t EXPORT(wasm_verdict_velocity_hz)(void);
uint32_t EXPORT(wasm_verdict_velocity_um_s)(void);
/* Windows still to be learned for the machine's baseline; 0 = none is being learned. */
uint32_t EXPORT(wasm_learning)(void);
uint32_t EXPORT(wasm_node_state)(void);

/* The alert of class i, or of a watch behind all classes (WHIR_DECIDE_WATCH), and the rules that all of them follow. */
uint32_t EXPORT(wasm_alert_state)(uint32_t i);
uint32_t EXPORT(wasm_alert_severity)(uint32_t i);
uint32_t EXPORT(wasm_alert_history)(uint32_t i);
uint32_t EXPORT(wasm_alert_below)(uint32_t i);
uint32_t EXPORT(wasm_alert_since_ms)(uint32_t i);
uint32_t EXPORT(wasm_raise_permille)(void);
uint32_t EXPORT(wasm_clear_permille)(void);
uint32_t EXPORT(wasm_raise_count)(void);
uint32_t EXPORT(wasm_raise_of)(void);
uint32_t EXPORT(wasm_clear_count)(void);
uint32_t EXPORT(wasm_warning_after_ms)(void);
uint32_t EXPORT(wasm_critical_after_ms)(void);

#endif
