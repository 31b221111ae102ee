#include "whir/decide.h"

#include <string.h>

#define IDLE 0
#define PENDING WHIR_ALERT_STATE_PENDING
#define ACTIVE WHIR_ALERT_STATE_ACTIVE
#define CLEARED WHIR_ALERT_STATE_CLEARED

/* What one verdict says about one class, as bits. */
enum {
    ANY = 0,
    ABOVE = 1,     /* this verdict is at or above raise_permille */
    ENOUGH = 2,    /* raise_count of the last raise_of good verdicts were */
    QUIET = 4,     /* none of the last raise_of good verdicts was */
    CLEAR = 8,     /* the last clear_count good verdicts were all under clear_permille */
    ESCALATE = 16, /* active long enough for the next severity */
    REPEAT = 32,   /* told longest ago than the re-alert interval */
};

typedef enum { NOTHING, RAISE, TELL, CLOSE } action_t;

/* The first row that fits is taken; none: nothing changes. Also in docs/SPEC.md. */
static const struct {
    uint8_t state, needs, next;
    action_t action;
} TABLE[] = {
    {IDLE, ENOUGH, ACTIVE, RAISE},   {IDLE, ABOVE, PENDING, NOTHING},  {PENDING, ENOUGH, ACTIVE, RAISE},
    {PENDING, QUIET, IDLE, NOTHING}, {ACTIVE, CLEAR, CLEARED, CLOSE},  {ACTIVE, ESCALATE, ACTIVE, TELL},
    {ACTIVE, REPEAT, ACTIVE, TELL},  {CLEARED, ENOUGH, ACTIVE, RAISE}, {CLEARED, ABOVE, PENDING, NOTHING},
    {CLEARED, ANY, IDLE, NOTHING},
};

void whir_decide_config_default(whir_decide_config_t *config)
{
    config->raise_permille = WHIR_DECIDE_RAISE_PERMILLE_DEFAULT;
    config->clear_permille = WHIR_DECIDE_CLEAR_PERMILLE_DEFAULT;
    config->raise_count = WHIR_DECIDE_RAISE_COUNT_DEFAULT;
    config->raise_of = WHIR_DECIDE_RAISE_OF_DEFAULT;
    config->clear_count = WHIR_DECIDE_CLEAR_COUNT_DEFAULT;
    config->realert_interval_ms = WHIR_DECIDE_REALERT_INTERVAL_MS_DEFAULT;
    config->warning_after_ms = WHIR_DECIDE_WARNING_AFTER_MS_DEFAULT;
    config->critical_after_ms = WHIR_DECIDE_CRITICAL_AFTER_MS_DEFAULT;
}

static uint8_t within(uint8_t value, uint8_t low, uint8_t high)
{
    return value < low ? low : value > high ? high : value;
}

void whir_decide_init(whir_decide_t *d, const whir_decide_config_t *config, uint8_t class_count)
{
    memset(d, 0, sizeof *d);
    d->config = *config;
    d->class_count = class_count > WHIR_VERDICT_CLASSES_MAX ? WHIR_VERDICT_CLASSES_MAX : class_count;
    /* "9 of 5" would never alarm: settings that cannot be met are brought to the strictest that can. */
    d->config.raise_of = within(config->raise_of, 1, WHIR_DECIDE_OF_MAX);
    d->config.raise_count = within(config->raise_count, 1, d->config.raise_of);
    d->config.clear_count = within(config->clear_count, 1, UINT8_MAX);
    if (d->config.clear_permille > d->config.raise_permille) {
        d->config.clear_permille = d->config.raise_permille;
    }
}

static uint8_t ones(uint8_t bits)
{
    uint8_t n = 0;

    for (; bits != 0; bits = (uint8_t)(bits & (bits - 1))) {
        n++;
    }
    return n;
}

static uint8_t severity_due(const whir_decide_config_t *config, uint64_t active_ms)
{
    if (active_ms >= config->critical_after_ms) {
        return WHIR_SEVERITY_CRITICAL;
    }
    return active_ms >= config->warning_after_ms ? WHIR_SEVERITY_WARNING : WHIR_SEVERITY_ADVISORY;
}

/* Takes the verdict into the alert's history and returns the facts. */
static uint8_t observe(const whir_decide_config_t *config, whir_alert_t *a, uint16_t permille, uint64_t now_ms)
{
    uint8_t window = (uint8_t)((1u << config->raise_of) - 1);
    int above = permille >= config->raise_permille;
    uint8_t facts = above ? ABOVE : 0;

    a->history = (uint8_t)(((a->history << 1) | above) & window);
    if (permille >= config->clear_permille) {
        a->below = 0;
    } else if (a->below < UINT8_MAX) {
        a->below++;
    }
    if (ones(a->history) >= config->raise_count) {
        facts |= ENOUGH;
    }
    if (a->history == 0) {
        facts |= QUIET;
    }
    if (a->below >= config->clear_count) {
        facts |= CLEAR;
    }
    if (severity_due(config, now_ms - a->since_ms) > a->severity) {
        facts |= ESCALATE;
    }
    if (config->realert_interval_ms != 0 && now_ms - a->told_ms >= config->realert_interval_ms) {
        facts |= REPEAT;
    }
    return facts;
}

static action_t advance(whir_alert_t *a, uint8_t facts)
{
    for (unsigned i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (TABLE[i].state == a->state && (facts & TABLE[i].needs) == TABLE[i].needs) {
            a->state = TABLE[i].next;
            return TABLE[i].action;
        }
    }
    return NOTHING;
}

static void act(const whir_decide_config_t *config, whir_alert_t *a, action_t action, uint64_t now_ms)
{
    a->told_ms = now_ms;
    switch (action) {
    case RAISE:
        a->since_ms = now_ms;
        a->severity = severity_due(config, 0);
        break;
    case TELL:
        a->severity = severity_due(config, now_ms - a->since_ms);
        break;
    default: /* CLOSE: the message still carries the severity that was reached */
        a->history = 0;
        break;
    }
}

int whir_decide_step(whir_decide_t *d, const whir_verdict_t *verdict, uint64_t now_ms, whir_decision_t *out)
{
    uint64_t since_last_ms = now_ms - d->last_ms;
    int told = 0;

    d->last_ms = now_ms;
    for (uint8_t c = 1; c < d->class_count; c++) {
        whir_alert_t *a = &d->alert[c];
        if (verdict->quality != 0) {
            a->since_ms += since_last_ms; /* held: time that nobody watched does not make it worse */
            continue;
        }
        action_t action = advance(a, observe(&d->config, a, verdict->permille[c], now_ms));
        if (action == NOTHING) {
            continue;
        }
        act(&d->config, a, action, now_ms);
        out[told].class_index = c;
        out[told].state = a->state;
        out[told].severity = a->severity;
        out[told].raised = action == RAISE;
        told++;
    }
    return told;
}

uint8_t whir_decide_severity(const whir_decide_t *d)
{
    uint8_t highest = WHIR_SEVERITY_NONE;

    for (uint8_t c = 1; c < d->class_count; c++) {
        if (d->alert[c].state == ACTIVE && d->alert[c].severity > highest) {
            highest = d->alert[c].severity;
        }
    }
    return highest;
}
