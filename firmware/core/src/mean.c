#include "whir/decide.h"

#include <string.h>

#define VERDICT_PERIOD_MS (1000 / WHIR_VERDICT_RATE_MAX_HZ)

void whir_mean_init(whir_mean_t *m, uint8_t class_count, uint8_t windows_max)
{
    memset(m, 0, sizeof *m);
    m->class_count = class_count > WHIR_VERDICT_CLASSES_MAX ? WHIR_VERDICT_CLASSES_MAX : class_count;
    m->windows_max = windows_max > WHIR_VERDICT_WINDOWS_MAX ? WHIR_VERDICT_WINDOWS_MAX : windows_max;
    if (m->windows_max == 0) {
        m->windows_max = 1;
    }
}

void whir_mean_reset(whir_mean_t *m)
{
    m->count = 0;
    m->next = 0;
}

static int is_due(whir_mean_t *m, uint64_t now_ms)
{
    if (m->started && now_ms - m->last_verdict_ms < VERDICT_PERIOD_MS) {
        return 0;
    }
    m->started = 1;
    m->last_verdict_ms = now_ms;
    return 1;
}

static uint8_t oldest(const whir_mean_t *m)
{
    return (uint8_t)((m->next + WHIR_VERDICT_WINDOWS_MAX - m->count) % WHIR_VERDICT_WINDOWS_MAX);
}

/* Of the windows that have one: a baseline may have come into force between two of them. */
static uint16_t mean_novelty(const whir_mean_t *m, uint8_t first)
{
    uint32_t sum = 0, count = 0;

    for (uint8_t i = 0; i < m->count; i++) {
        uint16_t novelty = m->novelty[(first + i) % WHIR_VERDICT_WINDOWS_MAX];
        if (novelty != WHIR_NOVELTY_NONE) {
            sum += novelty;
            count++;
        }
    }
    return count == 0 ? WHIR_NOVELTY_NONE : (uint16_t)((sum + count / 2) / count);
}

static void fill(const whir_mean_t *m, whir_verdict_t *verdict)
{
    uint8_t first = oldest(m);

    memset(verdict, 0, sizeof *verdict);
    verdict->class_count = m->class_count;
    verdict->windows = m->count;
    verdict->novelty = mean_novelty(m, first);
    verdict->top = -1;
    for (uint8_t c = 0; c < m->class_count; c++) {
        uint32_t sum = 0;
        for (uint8_t i = 0; i < m->count; i++) {
            sum += m->permille[(first + i) % WHIR_VERDICT_WINDOWS_MAX][c];
        }
        verdict->permille[c] = (uint16_t)((sum + m->count / 2u) / m->count);
        if (verdict->top < 0 || verdict->permille[c] > verdict->permille[verdict->top]) {
            verdict->top = (int8_t)c;
        }
    }
}

int whir_mean_push(whir_mean_t *m, const uint16_t *permille, uint16_t novelty, uint64_t now_ms, whir_verdict_t *verdict)
{
    memcpy(m->permille[m->next], permille, m->class_count * sizeof permille[0]);
    m->novelty[m->next] = novelty;
    m->at_ms[m->next] = now_ms;
    m->next = (uint8_t)((m->next + 1) % WHIR_VERDICT_WINDOWS_MAX);
    if (m->count < m->windows_max) {
        m->count++;
    }
    while (now_ms - m->at_ms[oldest(m)] >= WHIR_VERDICT_SPAN_MAX_MS) {
        m->count--;
    }
    if (!is_due(m, now_ms)) {
        return 0;
    }
    fill(m, verdict);
    return 1;
}

int whir_mean_flag(whir_mean_t *m, uint8_t quality, uint64_t now_ms, whir_verdict_t *verdict)
{
    if (!is_due(m, now_ms)) {
        return 0;
    }
    memset(verdict, 0, sizeof *verdict);
    verdict->class_count = m->class_count;
    verdict->top = -1;
    verdict->quality = quality;
    verdict->novelty = WHIR_NOVELTY_NONE;
    return 1;
}
