/* What the page shows of the node: getters, and nothing that changes it. */
#define WHIR_PORT_VERSION 2 /* the seam that this port was written for */

#include "node_parts.h"
#include "seams.h"
#include "wasm.h"

int wasm_serving(void)
{
    return wasm_node()->serving;
}

const char *wasm_model_name(void)
{
    return wasm_node()->bundle.model_name;
}

const char *wasm_model_version(void)
{
    return wasm_node()->bundle.model_version;
}

uint32_t wasm_model_bytes(void)
{
    return wasm_node()->bundle.model.bytes;
}

uint32_t wasm_class_count(void)
{
    return wasm_node()->bundle.class_count;
}

const char *wasm_class_name(uint32_t i)
{
    return wasm_node()->bundle.classes[i];
}

uint32_t wasm_rate_hz(void)
{
    return wasm_node()->bundle.params.rate_hz;
}

uint32_t wasm_lsb_nano(void)
{
    return wasm_node()->bundle.params.lsb_nano;
}

uint32_t wasm_unit(void)
{
    return wasm_node()->bundle.params.unit;
}

uint32_t wasm_axes(void)
{
    return wasm_node()->bundle.params.axes;
}

uint32_t wasm_channels(void)
{
    return wasm_node()->bundle.params.channels;
}

uint32_t wasm_window_samples(void)
{
    return wasm_node()->bundle.params.window_samples;
}

uint32_t wasm_kind(void)
{
    return wasm_node()->bundle.params.kind;
}

uint32_t wasm_bands_per_axis(void)
{
    return wasm_node()->bundle.params.bands_per_axis;
}

uint32_t wasm_band_edge(uint32_t i)
{
    return whir_le16(wasm_node()->bundle.params.band_edges_bins + 2 * i);
}

uint32_t wasm_feature_count(void)
{
    return whir_params_feature_count(&wasm_node()->bundle.params);
}

const int32_t *wasm_features(void)
{
    return wasm_node()->features;
}

const int8_t *wasm_input(void)
{
    return wasm_node()->input;
}

int wasm_verdict_top(void)
{
    return wasm_node()->verdict.top;
}

uint32_t wasm_verdict_permille(uint32_t i)
{
    return wasm_node()->verdict.permille[i];
}

uint32_t wasm_verdict_windows(void)
{
    return wasm_node()->verdict.windows;
}

uint32_t wasm_verdict_quality(void)
{
    return wasm_node()->verdict.quality;
}

uint32_t wasm_verdict_rms_counts(void)
{
    return wasm_node()->verdict.rms_counts;
}

uint32_t wasm_verdict_novelty(void)
{
    return wasm_node()->verdict.novelty;
}

uint32_t wasm_verdict_zone(void)
{
    return wasm_node()->verdict.zone;
}

uint32_t wasm_verdict_zone_reason(void)
{
    return wasm_node()->verdict.zone_reason;
}

uint32_t wasm_verdict_velocity_hz(void)
{
    return wasm_node()->verdict.velocity_hz;
}

uint32_t wasm_verdict_velocity_um_s(void)
{
    return wasm_node()->verdict.velocity_um_s;
}

uint32_t wasm_learning(void)
{
    const whir_novelty_learn_t *learn = &wasm_node()->learn;

    return learn->wanted == 0 ? 0 : learn->wanted - learn->windows;
}

uint32_t wasm_node_state(void)
{
    return whir_node_state(wasm_node());
}

uint32_t wasm_alert_state(uint32_t i)
{
    return wasm_node()->decide.alert[i].state;
}

uint32_t wasm_alert_severity(uint32_t i)
{
    return wasm_node()->decide.alert[i].severity;
}

uint32_t wasm_alert_history(uint32_t i)
{
    return wasm_node()->decide.alert[i].history;
}

uint32_t wasm_alert_below(uint32_t i)
{
    return wasm_node()->decide.alert[i].below;
}

uint32_t wasm_alert_since_ms(uint32_t i)
{
    return (uint32_t)wasm_node()->decide.alert[i].since_ms;
}

uint32_t wasm_raise_permille(void)
{
    return wasm_node()->decide.config.raise_permille;
}

uint32_t wasm_clear_permille(void)
{
    return wasm_node()->decide.config.clear_permille;
}

uint32_t wasm_raise_count(void)
{
    return wasm_node()->decide.config.raise_count;
}

uint32_t wasm_raise_of(void)
{
    return wasm_node()->decide.config.raise_of;
}

uint32_t wasm_clear_count(void)
{
    return wasm_node()->decide.config.clear_count;
}

uint32_t wasm_warning_after_ms(void)
{
    return wasm_node()->decide.config.warning_after_ms;
}

uint32_t wasm_critical_after_ms(void)
{
    return wasm_node()->decide.config.critical_after_ms;
}
