#include "whir/decide.h"

#include <string.h>

#define IDLE 0
#define PENDING WHIR_ALERT_STATE_PENDING
#define ACTIVE WHIR_ALERT_STATE_ACTIVE
#define CLEARED WHIR_ALERT_STATE_CLEARED
#define VELOCITY_MS 1000u /* one figure a second */

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

void whir_decide_config_default(whir_decide_config_t *config, uint8_t profile)
{
    memset(config, 0, sizeof *config);
    config->raise_permille = WHIR_DECIDE_RAISE_PERMILLE_DEFAULT;
    config->clear_permille = WHIR_DECIDE_CLEAR_PERMILLE_DEFAULT;
    config->raise_count = WHIR_DECIDE_RAISE_COUNT_DEFAULT;
    config->raise_of = WHIR_DECIDE_RAISE_OF_DEFAULT;
    config->clear_count = WHIR_DECIDE_CLEAR_COUNT_DEFAULT;
    config->raise_percent = WHIR_DECIDE_PLANT_RAISE_PERCENT;
    config->clear_percent = WHIR_DECIDE_PLANT_CLEAR_PERCENT;
    config->realert_interval_ms = WHIR_DECIDE_REALERT_INTERVAL_MS_DEFAULT;
    config->warning_after_ms = WHIR_DECIDE_WARNING_AFTER_MS_DEFAULT;
    config->critical_after_ms = WHIR_DECIDE_CRITICAL_AFTER_MS_DEFAULT;
    if (profile == WHIR_PROFILE_PLANT) {
        config->part_ms = WHIR_DECIDE_PLANT_PART_MS;
        config->run_up_ms = WHIR_DECIDE_PLANT_RUN_UP_MS;
        config->warning_after_ms = WHIR_DECIDE_PLANT_WARNING_AFTER_MS;
        config->critical_after_ms = WHIR_DECIDE_PLANT_CRITICAL_AFTER_MS;
    }
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

/* One verdict about one alert. */
typedef struct sight {
    uint8_t above;       /* it says that the fault is there */
    uint8_t clear;       /* it says that it is not: both may be wrong, between the two limits */
    uint8_t severity;    /* the least that is due */
    uint8_t lasting;     /* persistence lifts the severity */
    uint32_t elapsed_ms; /* running time since the last one */
    uint32_t part_ms;    /* 0: the last verdicts are counted */
} sight_t;

static uint8_t severity_due(const whir_decide_config_t *config, const sight_t *sight, uint64_t active_ms)
{
    uint8_t due = WHIR_SEVERITY_ADVISORY;

    if (sight->lasting && active_ms >= config->warning_after_ms) {
        due = active_ms >= config->critical_after_ms ? WHIR_SEVERITY_CRITICAL : WHIR_SEVERITY_WARNING;
    }
    return due > sight->severity ? due : sight->severity;
}

/* The last verdicts, one by one. */
static uint8_t observe_last(const whir_decide_config_t *config, whir_alert_t *a, const sight_t *sight)
{
    uint8_t window = (uint8_t)((1u << config->raise_of) - 1);
    uint8_t facts = sight->above ? ABOVE : 0;

    a->history = (uint8_t)(((a->history << 1) | sight->above) & window);
    if (!sight->clear) {
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
    return facts;
}

static void part_end(whir_alert_t *a)
{
    a->share[a->next] = (uint8_t)((a->above * 100 + a->total / 2) / a->total);
    a->next = (uint8_t)((a->next + 1) % WHIR_DECIDE_PARTS);
    a->parts = (uint8_t)(a->parts + (a->parts < WHIR_DECIDE_PARTS));
    a->above = 0;
    a->total = 0;
    a->filled_ms = 0;
}

/* Shares of running time: judged whenever a part is full, once there are enough of them. */
static uint8_t observe_parts(const whir_decide_config_t *config, whir_alert_t *a, const sight_t *sight)
{
    uint8_t facts = sight->above ? ABOVE : 0;
    uint32_t sum = 0;

    a->above += sight->above;
    a->total++;
    a->filled_ms += sight->elapsed_ms;
    if (a->filled_ms < sight->part_ms) {
        return facts;
    }
    part_end(a);
    if (a->parts < WHIR_DECIDE_PARTS) {
        return facts;
    }
    for (uint32_t i = 0; i < WHIR_DECIDE_PARTS; i++) {
        sum += a->share[i];
    }
    if (sum >= (uint32_t)config->raise_percent * WHIR_DECIDE_PARTS) {
        facts |= ENOUGH;
    }
    if (sum == 0) {
        facts |= QUIET;
    }
    if (sum <= (uint32_t)config->clear_percent * WHIR_DECIDE_PARTS) {
        facts |= CLEAR;
    }
    return facts;
}

/* Takes the verdict into the alert's history and returns the facts. */
static uint8_t observe(const whir_decide_config_t *config, whir_alert_t *a, const sight_t *sight, uint64_t now_ms)
{
    uint8_t facts = sight->part_ms == 0 ? observe_last(config, a, sight) : observe_parts(config, a, sight);

    if (severity_due(config, sight, now_ms - a->since_ms) > a->severity) {
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

static void act(const whir_decide_config_t *config, whir_alert_t *a, action_t action, const sight_t *sight, uint64_t now_ms)
{
    uint8_t due = severity_due(config, sight, action == RAISE ? 0 : now_ms - a->since_ms);

    a->told_ms = now_ms;
    switch (action) {
    case RAISE:
        a->since_ms = now_ms;
        a->severity = due;
        break;
    case TELL:
        a->severity = due > a->severity ? due : a->severity; /* what was once worse stays so until it is over */
        break;
    default: /* CLOSE: the message still carries the severity that was reached */
        a->history = 0;
        break;
    }
}

/* One alert, one verdict; 1 when there is something to tell. */
static int judge(whir_decide_t *d, uint8_t index, const sight_t *sight, uint64_t now_ms, whir_decision_t *out)
{
    whir_alert_t *a = &d->alert[index];
    action_t action = advance(a, observe(&d->config, a, sight, now_ms));

    if (action == NOTHING) {
        return 0;
    }
    act(&d->config, a, action, sight, now_ms);
    out->class_index = index;
    out->state = a->state;
    out->severity = a->severity;
    out->raised = action == RAISE;
    return 1;
}

/* A zone says how bad it is whatever the cause. */
static uint8_t zone_severity(uint8_t zone)
{
    return zone == WHIR_ZONE_D ? WHIR_SEVERITY_CRITICAL : zone == WHIR_ZONE_C ? WHIR_SEVERITY_WARNING : WHIR_SEVERITY_ADVISORY;
}

/* 1 while nothing counts: no good verdict, or the machine has only just started. */
static int is_held(whir_decide_t *d, uint8_t quality, uint64_t since_last_ms)
{
    if ((quality & WHIR_QUALITY_OFF) != 0) {
        d->running_ms = 0;
    }
    if (quality != 0) {
        return 1;
    }
    if (d->running_ms >= d->config.run_up_ms) {
        return 0;
    }
    since_last_ms += d->running_ms;
    d->running_ms = since_last_ms > d->config.run_up_ms ? d->config.run_up_ms : (uint32_t)since_last_ms;
    return d->running_ms < d->config.run_up_ms;
}

int whir_decide_step(whir_decide_t *d, const whir_verdict_t *verdict, uint64_t now_ms, whir_decision_t *out)
{
    uint64_t since_last_ms = now_ms - d->last_ms;
    uint32_t running_ms = d->good ? (uint32_t)since_last_ms : 0;
    uint8_t novel = verdict->novelty != WHIR_NOVELTY_NONE && verdict->top < 0;
    uint8_t unknown = WHIR_DECIDE_WATCH(WHIR_WATCH_UNKNOWN);
    int told = 0;

    d->last_ms = now_ms;
    d->good = verdict->quality == 0;
    if (is_held(d, verdict->quality, running_ms)) {
        for (uint8_t i = 1; i <= unknown; i++) {
            d->alert[i].since_ms += since_last_ms; /* time that nobody watched does not make it worse */
        }
        return 0;
    }
    for (uint8_t c = 1; c < d->class_count; c++) {
        sight_t sight = {verdict->permille[c] >= d->config.raise_permille,
                         verdict->permille[c] < d->config.clear_permille,
                         zone_severity(verdict->zone),
                         1,
                         running_ms,
                         d->config.part_ms};
        told += judge(d, c, &sight, now_ms, &out[told]);
    }
    sight_t sight = {novel, !novel, zone_severity(verdict->zone), 1, running_ms, d->config.part_ms};
    return told + judge(d, unknown, &sight, now_ms, &out[told]);
}

int whir_decide_velocity(whir_decide_t *d, uint8_t zone, uint8_t changed, uint64_t now_ms, whir_decision_t *out)
{
    uint8_t high = zone >= WHIR_ZONE_C;
    sight_t above = {high, !high, zone_severity(zone), 0, VELOCITY_MS, d->config.part_ms == 0 ? 0 : WHIR_DECIDE_HIGH_PART_MS};
    sight_t moved = {changed, !changed, WHIR_SEVERITY_ADVISORY, 0, VELOCITY_MS, d->config.part_ms};
    int told;

    if (zone == WHIR_ZONE_NONE) {
        d->moving_ms = 0;
        return 0;
    }
    if (d->moving_ms < d->config.run_up_ms) {
        d->moving_ms += VELOCITY_MS;
        return 0;
    }
    told = judge(d, WHIR_DECIDE_WATCH(WHIR_WATCH_VELOCITY), &above, now_ms, out);
    return told + judge(d, WHIR_DECIDE_WATCH(WHIR_WATCH_VELOCITY_CHANGE), &moved, now_ms, &out[told]);
}

uint8_t whir_decide_severity(const whir_decide_t *d)
{
    uint8_t highest = WHIR_SEVERITY_NONE;

    for (uint8_t i = 1; i < WHIR_DECIDE_ALERTS; i++) {
        if (d->alert[i].state == ACTIVE && d->alert[i].severity > highest) {
            highest = d->alert[i].severity;
        }
    }
    return highest;
}

void whir_decide_rest(whir_decide_t *d, uint64_t now_ms)
{
    for (int i = 0; i < WHIR_DECIDE_ALERTS; i++) {
        d->alert[i].since_ms += now_ms - d->last_ms;
    }
    d->last_ms = now_ms;
    d->good = 0;
}
