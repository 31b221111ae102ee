#include "whir/power.h"

#include <string.h>

enum { STAY = 1, FREE = 2, MEASURED = 4, TOLD = 8, LATE = 16, DUE = 32 };

/* The first row that fits. */
static const struct {
    uint8_t phase, when, next;
} ROWS[] = {
    {WHIR_POWER_AWAKE, FREE, WHIR_POWER_LISTEN},    {WHIR_POWER_LISTEN, STAY, WHIR_POWER_AWAKE},
    {WHIR_POWER_LISTEN, MEASURED, WHIR_POWER_TELL}, {WHIR_POWER_LISTEN, LATE, WHIR_POWER_TELL},
    {WHIR_POWER_TELL, STAY, WHIR_POWER_AWAKE},      {WHIR_POWER_TELL, TOLD, WHIR_POWER_REST},
    {WHIR_POWER_TELL, LATE, WHIR_POWER_REST},       {WHIR_POWER_REST, STAY, WHIR_POWER_AWAKE},
    {WHIR_POWER_REST, DUE, WHIR_POWER_LISTEN},
};

static const uint32_t LONGEST_MS[] = {
    [WHIR_POWER_AWAKE] = UINT32_MAX,
    [WHIR_POWER_LISTEN] = WHIR_POWER_LISTEN_MAX_MS,
    [WHIR_POWER_TELL] = WHIR_POWER_TELL_MAX_MS,
    [WHIR_POWER_REST] = UINT32_MAX,
};

void whir_power_init(whir_power_t *p, uint8_t mode, uint32_t every_ms, uint64_t now_ms)
{
    memset(p, 0, sizeof *p);
    p->mode = mode;
    p->phase = WHIR_POWER_AWAKE;
    p->every_ms = every_ms > WHIR_POWER_EVERY_MIN_MS ? every_ms : WHIR_POWER_EVERY_MIN_MS;
    p->since_ms = now_ms;
}

whir_power_phase_t whir_power_step(whir_power_t *p, const whir_power_need_t *need, uint64_t now_ms)
{
    int now = (need->stay ? STAY : FREE) | (need->measured ? MEASURED : 0) | (need->untold ? 0 : TOLD) |
              (now_ms - p->since_ms >= LONGEST_MS[p->phase] ? LATE : 0) | (now_ms >= p->next_ms ? DUE : 0);

    for (unsigned i = 0; i < sizeof ROWS / sizeof ROWS[0] && p->mode != WHIR_POWER_MODE_CONTINUOUS; i++) {
        if (ROWS[i].phase == p->phase && (ROWS[i].when & now) != 0) {
            p->phase = ROWS[i].next;
            p->since_ms = now_ms;
            if (p->phase == WHIR_POWER_LISTEN) {
                p->next_ms = now_ms + p->every_ms;
            }
            break;
        }
    }
    return (whir_power_phase_t)p->phase;
}

uint32_t whir_power_silence_ms(const whir_power_t *p, uint32_t interval_ms)
{
    uint32_t longest_ms = p->every_ms + WHIR_POWER_LISTEN_MAX_MS + WHIR_POWER_TELL_MAX_MS;

    return p->mode == WHIR_POWER_MODE_CONTINUOUS || longest_ms < interval_ms ? interval_ms : longest_ms;
}
