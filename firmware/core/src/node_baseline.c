#include <string.h>

#include "node_parts.h"

/* Features that have a baseline: logarithms. Of raw samples nothing but velocity is learned. */
static uint16_t learned_features(const whir_node_t *node)
{
    return node->bundle.params.kind == WHIR_FEATURE_KIND_BANDS ? (uint16_t)whir_params_feature_count(&node->bundle.params) : 0;
}

static void tell(whir_node_t *node, uint8_t kind, int code, uint64_t now_ms)
{
    whir_event_t event = {.kind = kind, .code = code, .action = node->learn_action};

    node->learn.wanted = 0;
    whir_node_tell_event(node, &event, now_ms);
}

void whir_node_learning_failed(whir_node_t *node, int code)
{
    tell(node, WHIR_EVENT_KIND_BASELINE_FAILED, code, node->now_ms);
}

void whir_node_baseline_match(whir_node_t *node)
{
    node->known = node->baseline.sequence != 0 && node->baseline.facts.count != 0 &&
                  node->baseline.facts.count == learned_features(node) &&
                  node->baseline.facts.extraction == whir_params_extraction(&node->bundle.params);
    if (node->learn.wanted != 0) { /* what was gathered is of other features, perhaps */
        whir_node_learning_failed(node, WHIR_ERR_STATE);
    }
}

int whir_node_commission(whir_node_t *node, const whir_command_t *command)
{
    const whir_params_t *params = &node->bundle.params;
    uint32_t seconds = command->seconds == 0 ? WHIR_NOVELTY_LEARN_S_DEFAULT : command->seconds;

    if (node->config.layout.baseline_sectors == 0) {
        return WHIR_ERR_SPACE;
    }
    if (!node->serving) {
        return WHIR_ERR_STATE;
    }
    if (node->updating && node->shadow_s != 0) {
        return WHIR_ERR_BUSY;
    }
    if (seconds > WHIR_NOVELTY_LEARN_S_MAX) {
        return WHIR_ERR_COMMAND;
    }
    whir_novelty_begin(&node->learn, node->spare.learn_words, learned_features(node),
                       (uint32_t)((uint64_t)seconds * params->rate_hz / params->hop_samples));
    memcpy(node->learn_action, command->id, sizeof node->learn_action);
    whir_node_mounting_begin(node);
    return 0;
}

static void freeze(whir_node_t *node, uint64_t now_ms)
{
    const whir_novelty_learn_t *l = &node->learn;
    whir_baseline_facts_t facts = {
        .extraction = whir_params_extraction(&node->bundle.params),
        .count = l->count,
        .limit_q8 = whir_novelty_limit(l),
        .windows = l->windows,
        .velocity_hz = l->velocity_seconds == 0 ? 0 : node->velocity.band_hz,
        .velocity_um_s = whir_novelty_velocity(l),
    };
    int err = whir_baseline_store(&node->baseline, &facts, whir_novelty_entries(l));

    tell(node, err < 0 ? WHIR_EVENT_KIND_BASELINE_FAILED : WHIR_EVENT_KIND_BASELINE_LEARNED, err, now_ms);
    whir_node_baseline_match(node);
}

uint16_t whir_node_novelty(whir_node_t *node, uint64_t now_ms)
{
    const whir_baseline_t *b = &node->baseline;
    uint16_t novelty = WHIR_NOVELTY_NONE;

    if (node->known) {
        novelty = whir_novelty_permille(whir_novelty_distance(b->entries, b->facts.count, node->features), b->facts.limit_q8);
    }
    if (node->learn.wanted != 0 && whir_novelty_learn(&node->learn, node->features)) {
        freeze(node, now_ms);
    }
    return novelty;
}

void whir_node_second(whir_node_t *node, uint64_t now_ms)
{
    const whir_baseline_facts_t *known = &node->baseline.facts;
    uint32_t now_um_s = node->velocity.worst_um_s;
    uint32_t moved = now_um_s > known->velocity_um_s ? now_um_s - known->velocity_um_s : known->velocity_um_s - now_um_s;
    uint8_t changed =
        known->velocity_um_s != 0 && known->velocity_hz == node->velocity.band_hz && moved > node->limits.change_um_s;
    whir_decision_t decisions[2];

    if (node->learn.wanted != 0 && node->verdict.quality == 0) {
        whir_novelty_learn_velocity(&node->learn, now_um_s);
    }
    whir_node_grade(node, &node->verdict);
    whir_node_tell_decisions(node, decisions,
                             whir_decide_velocity(&node->decide, node->verdict.zone, changed, now_ms, decisions), now_ms);
}
