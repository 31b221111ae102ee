#include <string.h>

#include "node_parts.h"

#define SENSOR_FAULTS (WHIR_QUALITY_STUCK | WHIR_QUALITY_CLIPPED | WHIR_QUALITY_GAP | WHIR_QUALITY_SLOW)

void whir_node_grade(const whir_node_t *node, whir_verdict_t *verdict)
{
    const whir_velocity_t *v = &node->velocity;

    verdict->velocity_hz = v->valid ? v->band_hz : 0;
    verdict->velocity_um_s = v->valid ? v->worst_um_s : 0;
    verdict->zone = WHIR_ZONE_NONE;
    verdict->zone_reason = node->zone_reason;
    if (verdict->zone_reason != WHIR_ZONE_REASON_GIVEN) {
        return;
    }
    if ((verdict->quality & SENSOR_FAULTS) != 0) {
        verdict->zone_reason = WHIR_ZONE_REASON_BAD_SENSOR;
    } else if ((verdict->quality & WHIR_QUALITY_OFF) != 0) {
        verdict->zone_reason = WHIR_ZONE_REASON_OFF;
    } else if (!v->valid) {
        verdict->zone_reason = WHIR_ZONE_REASON_NOT_MEASURED;
    } else {
        verdict->zone = whir_zone(&node->limits, v->worst_um_s);
    }
}

static void count(whir_node_t *node, const whir_verdict_t *verdict)
{
    if (verdict->top < 0) {
        node->tally.unknown++;
    } else {
        node->tally.of_class[verdict->top]++;
    }
    node->verdict = *verdict;
    node->verdicts++;
}

static void tell_fault(whir_node_t *node, uint64_t now_ms)
{
    static const struct {
        uint8_t bit;
        const char *name;
    } REASONS[] = {{WHIR_QUALITY_SLOW, "slow"},
                   {WHIR_QUALITY_STUCK, "stuck"},
                   {WHIR_QUALITY_CLIPPED, "clipped"},
                   {WHIR_QUALITY_GAP, "gap"}};
    whir_event_t event = {.kind = WHIR_EVENT_KIND_SENSOR_FAULT};

    for (unsigned i = 0; i < sizeof REASONS / sizeof REASONS[0] && event.text == NULL; i++) {
        if ((node->verdict.quality & REASONS[i].bit) != 0) {
            event.text = REASONS[i].name;
        }
    }
    node->fault = 1;
    whir_node_tell_event(node, &event, now_ms);
}

/* A fault that persists is an event; one good window ends it. */
static void judge_sensor(whir_node_t *node, uint8_t quality, uint64_t now_ms)
{
    if ((quality & SENSOR_FAULTS) == 0) {
        node->bad = 0;
        node->fault = 0;
        return;
    }
    if (!node->bad) {
        node->bad = 1;
        node->bad_since_ms = now_ms;
    }
    if (!node->fault && now_ms - node->bad_since_ms >= WHIR_SENSOR_FAULT_AFTER_MS) {
        tell_fault(node, now_ms);
    }
}

void whir_node_show_severity(whir_node_t *node)
{
    uint8_t severity = whir_decide_severity(&node->decide);

    if (severity != node->output) {
        node->output = severity;
        node->ports.output->set(node->ports.output, severity);
    }
}

static const char *watch_name(uint8_t watch)
{
    static const char *const NAMES[] = {
#define ROW(value, name) [value] = name,
        WHIR_WATCH_NAMES(ROW)
#undef ROW
    };

    return NAMES[watch];
}

/* Velocity is measured, so certain; what is unknown has no probability. */
void whir_node_tell_decisions(whir_node_t *node, const whir_decision_t *decisions, int count, uint64_t now_ms)
{
    for (int i = 0; i < count; i++) {
        uint8_t at = decisions[i].class_index;
        int watch = at >= WHIR_VERDICT_CLASSES_MAX;
        const char *name = watch ? watch_name((uint8_t)(at - WHIR_VERDICT_CLASSES_MAX)) : node->bundle.classes[at];
        uint16_t permille = !watch ? node->verdict.permille[at] : at == WHIR_DECIDE_WATCH(WHIR_WATCH_UNKNOWN) ? 0 : 1000;
        if (decisions[i].raised) {
            node->occurrence[at] = node->seq;
        }
        whir_node_tell_alert(node, &decisions[i], name, permille, 0, now_ms);
        if (decisions[i].raised) {
            whir_node_capture_alert(node, node->occurrence[at], now_ms);
        }
    }
    whir_node_show_severity(node);
}

static void on_verdict(whir_node_t *node, whir_verdict_t *verdict, uint64_t now_ms)
{
    whir_decision_t decisions[WHIR_DECIDE_ALERTS];
    int told;

    whir_node_grade(node, verdict);
    count(node, verdict);
    judge_sensor(node, verdict->quality, now_ms);
    told = whir_decide_step(&node->decide, verdict, now_ms, decisions);
    whir_node_tell_decisions(node, decisions, told, now_ms);
    whir_node_shadow_verdict(node, verdict, decisions, told, now_ms);
}

static int infer(whir_node_t *node, uint16_t *permille)
{
    const whir_params_t *params = &node->bundle.params;
    int8_t output[WHIR_VERDICT_CLASSES_MAX];
    int err;

    whir_features_extract(params, node->ring, node->shaft_mhz, node->scratch, node->features);
    whir_features_quantize(params, node->features, node->input);
    err = node->ports.engine->invoke(node->ports.engine, node->input, output);
    if (err < 0) {
        return err;
    }
    for (uint8_t c = 0; c < node->bundle.class_count; c++) {
        permille[c] = whir_permille(output[c], node->info.output_scale_bits, node->info.output_zero_point);
    }
    return 0;
}

void whir_node_doubt(const whir_decide_t *decide, whir_verdict_t *verdict)
{
    if (verdict->novelty == WHIR_NOVELTY_NONE || verdict->novelty < WHIR_NOVELTY_UNKNOWN_PERMILLE) {
        return;
    }
    for (uint8_t c = 1; c < verdict->class_count; c++) {
        if (verdict->permille[c] >= decide->config.raise_permille) {
            return;
        }
    }
    verdict->top = -1;
}

/* A window is due. The engine's error is returned, and the verdict is unknown. */
int whir_node_classify(whir_node_t *node, uint64_t now_ms)
{
    uint64_t signal_ms = node->signal_samples * 1000 / node->bundle.params.rate_hz;
    uint16_t permille[WHIR_VERDICT_CLASSES_MAX];
    uint8_t quality = whir_window_read(&node->window);
    uint32_t rms = whir_features_rms(&node->bundle.params, node->ring);
    uint16_t novelty = WHIR_NOVELTY_NONE;
    whir_verdict_t verdict;
    int err = 0;
    int due;

    if (node->slow) {
        quality |= WHIR_QUALITY_SLOW;
    }
    if (quality == 0 && rms < node->bundle.off_rms_counts) {
        quality = WHIR_QUALITY_OFF;
    }
    if (quality == 0 && !whir_features_defined(&node->bundle.params, node->shaft_mhz)) {
        quality = WHIR_QUALITY_NO_SPEED;
    }
    if (quality == 0) {
        err = infer(node, permille);
        quality = err < 0 ? WHIR_QUALITY_NO_MODEL : 0;
        novelty = whir_node_novelty(node, now_ms);
    }
    due = quality == 0 ? whir_mean_push(&node->mean, permille, novelty, signal_ms, &verdict)
                       : whir_mean_flag(&node->mean, quality, signal_ms, &verdict);
    whir_node_shadow_window(node, quality, novelty, signal_ms);
    if (due) {
        verdict.rms_counts = rms;
        whir_node_doubt(&node->decide, &verdict);
        on_verdict(node, &verdict, now_ms);
    }
    return err;
}

/* Too few samples in the last span, or none at all: no verdict of before holds any longer. */
void whir_node_watch_sensor(whir_node_t *node, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms - node->slow_since_ms;

    if (elapsed_ms < WHIR_SENSOR_SLOW_SPAN_MS) {
        return;
    }
    /* samples wanted = rate_mhz * elapsed_ms / 10^6, and of those slow_percent: both sides times 10^8 */
    node->slow =
        (uint64_t)node->received * 100000000u < (uint64_t)node->config.sensor.rate_mhz * elapsed_ms * WHIR_SENSOR_SLOW_PERCENT;
    node->received = 0;
    node->slow_since_ms = now_ms;
    if (node->slow) {
        whir_capture_gap(&node->capture);
    }
    if (node->slow && node->serving) {
        whir_verdict_t verdict;
        memset(&verdict, 0, sizeof verdict);
        verdict.top = -1;
        verdict.quality = WHIR_QUALITY_SLOW;
        verdict.novelty = WHIR_NOVELTY_NONE;
        on_verdict(node, &verdict, now_ms);
    }
}
