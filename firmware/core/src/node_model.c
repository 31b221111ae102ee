#include <string.h>

#include "node_parts.h"

int whir_node_load(whir_node_t *node, const whir_bundle_t *bundle)
{
    whir_inference_t *engine = node->ports.engine;
    uint32_t features = whir_params_feature_count(&bundle->params);
    int err = whir_condition_init(&node->condition, &bundle->params, &node->config.sensor, &node->envelope);

    if (features > WHIR_NODE_FRAME_WORDS ||
        (uint32_t)bundle->params.window_samples * bundle->params.channels > WHIR_NODE_FRAME_WORDS) {
        return WHIR_ERR_SPACE;
    }
    if (err == 0) {
        err = engine->load(engine, bundle->model.data, bundle->model.bytes, node->ports.arena, node->ports.arena_bytes,
                           &node->info);
    }
    if (err < 0) {
        return err;
    }
    if (node->info.input_bytes != features || node->info.output_bytes != bundle->class_count) {
        return WHIR_ERR_NN_SHAPE;
    }
    return 0;
}

/* A verdict spans WHIR_VERDICT_SPAN_MAX_MS at most, from the first sample of its first window to the last of its last. */
uint8_t whir_node_windows_max(const whir_params_t *params)
{
    uint32_t span = WHIR_VERDICT_SPAN_MAX_MS * params->rate_hz / 1000;
    uint32_t windows = span < params->window_samples ? 1 : 1 + (span - params->window_samples) / params->hop_samples;

    return windows < params->verdict_windows ? (uint8_t)windows : params->verdict_windows;
}

int whir_node_class_named(const whir_bundle_t *bundle, const char *name)
{
    for (uint8_t c = 1; c < bundle->class_count; c++) {
        if (strcmp(bundle->classes[c], name) == 0) {
            return c;
        }
    }
    return 0;
}

/* Alerts of the old model's classes: one that the new model has too goes on, any other is closed, for nobody watches it now. */
static void hand_over_alerts(whir_node_t *node, const whir_bundle_t *next, const whir_decide_config_t *config)
{
    uint32_t occurrence[WHIR_DECIDE_ALERTS] = {0};
    whir_decide_t old = node->decide;

    whir_decide_init(&node->decide, config, next->class_count);
    node->decide.last_ms = old.last_ms;
    node->decide.running_ms = old.running_ms;
    node->decide.moving_ms = old.moving_ms;
    for (uint8_t i = WHIR_VERDICT_CLASSES_MAX; i < WHIR_DECIDE_ALERTS; i++) {
        node->decide.alert[i] = old.alert[i];
        occurrence[i] = node->occurrence[i];
    }
    for (uint8_t c = 1; c < old.class_count; c++) {
        int at = whir_node_class_named(next, node->bundle.classes[c]);
        if (at > 0) {
            node->decide.alert[at] = old.alert[c];
            occurrence[at] = node->occurrence[c];
        } else if (old.alert[c].state == WHIR_ALERT_STATE_ACTIVE) {
            whir_decision_t closed = {c, WHIR_ALERT_STATE_CLEARED, old.alert[c].severity, 0};
            whir_node_tell_alert(node, &closed, node->bundle.classes[c], 0, WHIR_QUALITY_NO_MODEL, node->now_ms);
        }
    }
    memcpy(node->occurrence, occurrence, sizeof occurrence);
    whir_node_show_severity(node);
}

static void start_signal(whir_node_t *node)
{
    const whir_params_t *params = &node->bundle.params;

    node->serving = 1;
    whir_window_init(&node->window, params, node->ring);
    whir_mean_init(&node->mean, node->bundle.class_count, whir_node_windows_max(params));
    memset(&node->verdict, 0, sizeof node->verdict);
    node->verdict.top = -1;
    node->verdict.quality = WHIR_QUALITY_STARTING;
    memset(&node->tally, 0, sizeof node->tally);
    node->verdict.novelty = WHIR_NOVELTY_NONE;
    whir_node_baseline_match(node);
}

void whir_node_thresholds_apply(whir_node_t *node)
{
    const whir_slots_state_t *set = &node->slots.state;
    whir_decide_config_t *config = &node->decide.config;

    config->raise_permille = set->raise_permille != 0 ? set->raise_permille : node->bundle.raise_permille;
    config->clear_permille = set->raise_permille != 0 ? set->clear_permille : node->bundle.clear_permille;
}

void whir_node_serve(whir_node_t *node, const whir_bundle_t *bundle)
{
    whir_decide_config_t config;

    whir_decide_config_default(&config, node->config.profile);
    config.raise_count = bundle->raise_count;
    config.raise_of = bundle->raise_of;
    hand_over_alerts(node, bundle, &config);
    node->bundle = *bundle;
    whir_node_thresholds_apply(node);
    start_signal(node);
    node->status_due = 1;
}

void whir_node_restore(whir_node_t *node)
{
    if (!node->serving) {
        return;
    }
    if (whir_node_load(node, &node->bundle) < 0) { /* it ran a moment ago: only a broken engine ends here */
        node->serving = 0;
        node->verdict.top = -1;
        node->verdict.quality = WHIR_QUALITY_NO_MODEL;
        return;
    }
    start_signal(node);
}

static int open_active(whir_node_t *node)
{
    whir_bundle_t bundle;
    int opened = whir_update_boot(&node->update, &bundle);
    int err = opened < 0 ? opened : whir_node_load(node, &bundle);

    if (err < 0) {
        return err;
    }
    whir_node_serve(node, &bundle);
    return opened;
}

int whir_node_open(whir_node_t *node)
{
    int err = open_active(node);

    /* A model on trial that verifies but does not run here (another engine, another sensor): back to the one before it. */
    if (err < 0 && node->slots.state.trial && whir_update_revert(&node->update) == 0) {
        err = open_active(node);
    }
    if (err < 0) {
        node->serving = 0;
        node->verdict.top = -1;
        node->verdict.quality = WHIR_QUALITY_NO_MODEL;
    }
    return err;
}
