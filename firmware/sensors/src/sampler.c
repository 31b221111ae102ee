#include "whir/sampler.h"

#include <string.h>

#include "whir/contract.h"

#define REST_MS 50
#define REOPEN_MS 1000

void whir_sampler_init(whir_sampler_t *s, whir_accel_t *accel, const whir_accel_settings_t *settings)
{
    memset(s, 0, sizeof *s);
    s->accel = accel;
    s->settings = *settings;
    s->open = 1;
}

static uint32_t rest(whir_sampler_t *s)
{
    if (!s->rests) {
        (void)whir_accel_stop(s->accel); /* one that fails is opened anew as well */
        s->rests = 1;
        s->open = 0;
        s->retry_us = 0;
    }
    return REST_MS;
}

uint32_t whir_sampler_turn(whir_sampler_t *s, int wanted, whir_block_t *block, uint64_t now_us)
{
    uint32_t span_ms;
    int count;

    block->count = 0;
    if (!wanted) {
        return rest(s);
    }
    s->rests = 0;
    if (!s->open && now_us < s->retry_us) {
        return REST_MS;
    }
    if (!s->open) { /* until it works again; the core says meanwhile that there is no sensor */
        block->gap = 1;
        s->retry_us = now_us + REOPEN_MS * 1000u;
        s->open = whir_accel_open(s->accel, s->accel->part, s->accel->bus, &s->settings) == 0;
        return s->open ? 0 : REST_MS;
    }
    count = whir_accel_read(s->accel, block->samples[0], WHIR_ACCEL_BURST, now_us);
    if (count == WHIR_ERR_SENSOR_OVERRUN) {
        s->overruns++;
        block->gap = 1;
    } else if (count < 0) {
        s->reopens++;
        s->open = 0;
        block->gap = 1;
        return 0;
    }
    block->count = (uint8_t)(count > 0 ? count : 0);
    span_ms = whir_accel_overrun_us(s->accel) / 2000;
    return count == WHIR_ACCEL_BURST ? 0 : span_ms > 0 ? span_ms : 1;
}
