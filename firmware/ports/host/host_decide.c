#include "host_decide.h"

#include <stdlib.h>
#include <string.h>

#include "whir/decide.h"

struct host_mean {
    whir_mean_t core;
};

struct host_decide {
    whir_decide_t core;
};

void host_permille_all(uint32_t scale_bits, int32_t zero_point, uint16_t *out)
{
    for (int q = -128; q <= 127; q++) {
        out[q + 128] = whir_permille((int8_t)q, scale_bits, zero_point);
    }
}

host_mean_t *host_mean_new(uint8_t class_count, uint8_t windows_max)
{
    host_mean_t *mean = calloc(1, sizeof *mean);

    if (mean != NULL) {
        whir_mean_init(&mean->core, class_count, windows_max);
    }
    return mean;
}

void host_mean_free(host_mean_t *mean)
{
    free(mean);
}

int host_mean_push(host_mean_t *mean, const uint16_t *permille, uint8_t quality, uint64_t now_ms, uint16_t *mean_permille,
                   int8_t *top, uint8_t *windows)
{
    whir_verdict_t verdict;
    int due = permille != NULL ? whir_mean_push(&mean->core, permille, WHIR_NOVELTY_NONE, now_ms, &verdict)
                               : whir_mean_flag(&mean->core, quality, now_ms, &verdict);

    if (due) {
        memcpy(mean_permille, verdict.permille, verdict.class_count * sizeof verdict.permille[0]);
        *top = verdict.top;
        *windows = verdict.windows;
    }
    return due;
}

void host_mean_reset(host_mean_t *mean)
{
    whir_mean_reset(&mean->core);
}

host_decide_t *host_decide_new(const host_decide_config_t *config, uint8_t class_count)
{
    host_decide_t *decide = calloc(1, sizeof *decide);
    whir_decide_config_t c;

    if (decide == NULL) {
        return NULL;
    }
    whir_decide_config_default(&c, (uint8_t)config->profile);
    if (config->raise_permille >= 0) {
        c.raise_permille = (uint16_t)config->raise_permille;
    }
    if (config->clear_permille >= 0) {
        c.clear_permille = (uint16_t)config->clear_permille;
    }
    if (config->raise_count >= 0) {
        c.raise_count = (uint8_t)config->raise_count;
    }
    if (config->raise_of >= 0) {
        c.raise_of = (uint8_t)config->raise_of;
    }
    if (config->clear_count >= 0) {
        c.clear_count = (uint8_t)config->clear_count;
    }
    if (config->realert_interval_ms >= 0) {
        c.realert_interval_ms = (uint32_t)config->realert_interval_ms;
    }
    if (config->warning_after_ms >= 0) {
        c.warning_after_ms = (uint32_t)config->warning_after_ms;
    }
    if (config->critical_after_ms >= 0) {
        c.critical_after_ms = (uint32_t)config->critical_after_ms;
    }
    whir_decide_init(&decide->core, &c, class_count);
    return decide;
}

void host_decide_free(host_decide_t *decide)
{
    free(decide);
}

/* Its callers' decisions start empty: cppcheck does not see that no more are read than were told. */
static int give(const whir_decision_t *decisions, int told, host_decision_t *out)
{
    for (int i = 0; i < told; i++) {
        out[i].class_index = decisions[i].class_index;
        out[i].state = decisions[i].state;
        out[i].severity = decisions[i].severity;
        out[i].raised = decisions[i].raised;
    }
    return told;
}

int host_decide_step(host_decide_t *decide, const uint16_t *permille, uint8_t quality, uint16_t novelty, uint8_t known,
                     uint8_t zone, uint64_t now_ms, host_decision_t *out)
{
    whir_decision_t decisions[WHIR_DECIDE_ALERTS] = {{0}};
    whir_verdict_t verdict;

    memset(&verdict, 0, sizeof verdict);
    verdict.class_count = decide->core.class_count;
    verdict.novelty = novelty;
    verdict.zone = zone;
    verdict.top = known && quality == 0 ? 0 : -1; /* which class it is decide sees from the permille */
    verdict.quality = quality;
    memcpy(verdict.permille, permille, verdict.class_count * sizeof permille[0]);
    return give(decisions, whir_decide_step(&decide->core, &verdict, now_ms, decisions), out);
}

int host_decide_velocity(host_decide_t *decide, uint8_t zone, uint8_t changed, uint64_t now_ms, host_decision_t *out)
{
    whir_decision_t decisions[2] = {{0}};

    return give(decisions, whir_decide_velocity(&decide->core, zone, changed, now_ms, decisions), out);
}

uint8_t host_decide_state(const host_decide_t *decide, uint8_t class_index)
{
    return decide->core.alert[class_index].state;
}

uint8_t host_decide_severity(const host_decide_t *decide)
{
    return whir_decide_severity(&decide->core);
}
