#include <string.h>

#include "node_parts.h"

/* Both judge the same windows with the same features, so these must be the same; the scaler and the rules may differ. */
int whir_node_shadow_fits(const whir_node_t *node, const whir_bundle_t *candidate)
{
    const whir_params_t *old = &node->bundle.params, *new = &candidate->params;

    return node->serving && whir_params_extraction(old) == whir_params_extraction(new) &&
                   old->hop_samples == new->hop_samples && old->channels == new->channels
               ? 0
               : WHIR_ERR_BUNDLE_SHADOW;
}

/* Faults that are alerts already would be alerts of the candidate too. */
static void take_alerts(whir_decide_t *decide, const whir_node_t *node, const whir_bundle_t *candidate)
{
    const whir_decide_t *old = &node->decide;

    decide->last_ms = old->last_ms;
    decide->running_ms = old->running_ms;
    for (uint8_t c = 1; c < old->class_count; c++) {
        int at = whir_node_class_named(candidate, node->bundle.classes[c]);
        if (at > 0) {
            decide->alert[at] = old->alert[c];
        }
    }
}

void whir_node_shadow_begin(whir_node_t *node, const whir_bundle_t *candidate, uint32_t seconds, uint64_t now_ms)
{
    whir_shadow_t *s = &node->spare.shadow;
    whir_decide_config_t config = node->decide.config;

    memset(s, 0, sizeof *s);
    s->bundle = *candidate;
    s->until_ms = now_ms + (uint64_t)seconds * 1000;
    config.raise_permille = candidate->raise_permille;
    config.clear_permille = candidate->clear_permille;
    config.raise_count = candidate->raise_count;
    config.raise_of = candidate->raise_of;
    whir_decide_init(&s->decide, &config, candidate->class_count);
    take_alerts(&s->decide, node, candidate);
    whir_mean_init(&s->mean, candidate->class_count, whir_node_windows_max(&candidate->params));
    s->mean.started = node->mean.started; /* so that both give their verdicts at the same time */
    s->mean.last_verdict_ms = node->mean.last_verdict_ms;
    node->updating = WHIR_NODE_UPDATING_SHADOW;
}

/* There is one arena: the candidate takes it for one inference, then the model in service has it again. */
static int infer(whir_node_t *node, uint16_t *permille)
{
    whir_inference_t *engine = node->ports.engine;
    const whir_bundle_t *candidate = &node->spare.shadow.bundle;
    int8_t output[WHIR_VERDICT_CLASSES_MAX];
    whir_model_info_t info;
    int err =
        engine->load(engine, candidate->model.data, candidate->model.bytes, node->ports.arena, node->ports.arena_bytes, &info);

    if (err == 0) {
        whir_features_quantize(&candidate->params, node->features, node->input);
        err = engine->invoke(engine, node->input, output);
    }
    for (uint8_t c = 0; c < candidate->class_count && err == 0; c++) {
        permille[c] = whir_permille(output[c], info.output_scale_bits, info.output_zero_point);
    }
    if (engine->load(engine, node->bundle.model.data, node->bundle.model.bytes, node->ports.arena, node->ports.arena_bytes,
                     &node->info) < 0) {
        whir_node_restore(node); /* says so if it fails again */
    }
    return err;
}

void whir_node_shadow_window(whir_node_t *node, uint8_t quality, uint16_t novelty, uint64_t signal_ms)
{
    whir_shadow_t *s = &node->spare.shadow;
    uint16_t permille[WHIR_VERDICT_CLASSES_MAX];

    if (node->updating != WHIR_NODE_UPDATING_SHADOW) {
        return;
    }
    if (quality == 0 && infer(node, permille) < 0) {
        quality = WHIR_QUALITY_NO_MODEL;
    }
    s->due = (uint8_t)(quality == 0 ? whir_mean_push(&s->mean, permille, novelty, signal_ms, &s->verdict)
                                    : whir_mean_flag(&s->mean, quality, signal_ms, &s->verdict));
}

static uint32_t raised(const whir_decision_t *decisions, int count)
{
    uint32_t alerts = 0;

    for (int i = 0; i < count; i++) {
        alerts += decisions[i].raised && decisions[i].class_index < WHIR_VERDICT_CLASSES_MAX;
    }
    return alerts;
}

static int same(const whir_node_t *node, const whir_verdict_t *old, const whir_verdict_t *new)
{
    if (old->top < 0 || new->top < 0) {
        return old->top < 0 && new->top < 0;
    }
    return strcmp(node->bundle.classes[old->top], node->spare.shadow.bundle.classes[new->top]) == 0;
}

void whir_node_shadow_verdict(whir_node_t *node, const whir_verdict_t *old, const whir_decision_t *decisions, int told,
                              uint64_t now_ms)
{
    whir_shadow_t *s = &node->spare.shadow;
    whir_shadow_counts_t *n = &s->counts;
    whir_decision_t would[WHIR_DECIDE_ALERTS];
    int old_fault = old->top > 0, new_fault;

    if (node->updating != WHIR_NODE_UPDATING_SHADOW || !s->due) {
        return;
    }
    s->due = 0;
    s->verdict.zone = WHIR_ZONE_NONE; /* severity is not compared */
    whir_node_doubt(&s->decide, &s->verdict);
    n->alerts_new += raised(would, whir_decide_step(&s->decide, &s->verdict, now_ms, would));
    n->alerts_old += raised(decisions, told);
    if (old->quality != 0 || s->verdict.quality != 0) {
        return; /* neither of the two has judged */
    }
    new_fault = s->verdict.top > 0;
    n->pairs++;
    n->differ += !same(node, old, &s->verdict);
    n->fault_new += new_fault && !old_fault;
    n->fault_old += old_fault && !new_fault;
    n->unknown_new += s->verdict.top < 0 && old->top >= 0;
    n->unknown_old += old->top < 0 && s->verdict.top >= 0;
}

int whir_node_shadow_over(const whir_node_t *node, uint64_t now_ms)
{
    return now_ms >= node->spare.shadow.until_ms;
}
