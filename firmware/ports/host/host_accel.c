#include "host_accel.h"

#include <stdlib.h>
#include <string.h>

#include "whir/sampler.h"

struct host_accel {
    whir_accel_t accel;
    whir_sampler_t sampler;
    whir_bus_t bus;
    const whir_accel_part_t *part;
    host_accel_transfer_t transfer;
    host_accel_wait_t wait;
    void *user;
};

static int transfer(whir_bus_t *bus, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes)
{
    host_accel_t *h = bus->ctx;

    return h->transfer(h->user, out, out_bytes, in, in_bytes);
}

static void wait_ms(whir_bus_t *bus, uint32_t ms)
{
    host_accel_t *h = bus->ctx;

    h->wait(h->user, ms);
}

const char *host_accel_part(uint32_t index)
{
    return whir_accel_parts[index] != NULL ? whir_accel_parts[index]->name : NULL;
}

host_accel_t *host_accel_new(const char *part, uint8_t kind, host_accel_transfer_t on_transfer, host_accel_wait_t on_wait,
                             void *user)
{
    host_accel_t *h;

    if (whir_accel_find(part) == NULL || (h = calloc(1, sizeof *h)) == NULL) {
        return NULL;
    }
    h->part = whir_accel_find(part);
    h->bus = (whir_bus_t){.ctx = h, .kind = kind, .transfer = transfer, .wait_ms = wait_ms};
    h->transfer = on_transfer;
    h->wait = on_wait;
    h->user = user;
    return h;
}

void host_accel_free(host_accel_t *h)
{
    free(h);
}

int host_accel_open(host_accel_t *h, uint32_t rate_mhz, uint32_t bandwidth_hz, uint32_t range_mg, const int8_t *axes)
{
    whir_accel_settings_t settings = {rate_mhz, bandwidth_hz, range_mg, {axes[0], axes[1], axes[2]}};

    whir_sampler_init(&h->sampler, &h->accel, &settings);
    return whir_accel_open(&h->accel, h->part, &h->bus, &settings);
}

int host_accel_turn(host_accel_t *h, int wanted, int16_t *samples, uint8_t *gap, uint32_t *wait_ms, uint64_t now_us)
{
    whir_block_t block = {0};

    *wait_ms = whir_sampler_turn(&h->sampler, wanted, &block, now_us);
    *gap = block.gap;
    memcpy(samples, block.samples, sizeof block.samples);
    return block.count;
}

void host_accel_troubles(const host_accel_t *h, uint32_t *values)
{
    values[0] = h->sampler.overruns;
    values[1] = h->sampler.reopens;
}

int host_accel_read(host_accel_t *h, int16_t *samples, uint32_t max, uint64_t now_us)
{
    return whir_accel_read(&h->accel, samples, max, now_us);
}

uint32_t host_accel_watermark_us(const host_accel_t *h)
{
    return whir_accel_watermark_us(&h->accel);
}

uint32_t host_accel_overrun_us(const host_accel_t *h)
{
    return whir_accel_overrun_us(&h->accel);
}

void host_accel_info(const host_accel_t *h, uint32_t *values)
{
    whir_sensor_info_t info;

    whir_accel_info(&h->accel, &info);
    values[0] = info.rate_mhz;
    values[1] = info.bandwidth_hz;
    values[2] = info.range_milli;
    values[3] = info.noise_ug_rthz;
    values[4] = info.lsb_nano;
    values[5] = info.unit;
    values[6] = info.channels;
}

int host_accel_watch(host_accel_t *h)
{
    return whir_accel_watch(&h->accel);
}

int host_accel_settle(host_accel_t *h, uint64_t (*now_us)(void *user))
{
    return whir_accel_settle(&h->accel, now_us, h->user);
}

int host_accel_temperature(host_accel_t *h, int16_t *cdeg)
{
    return whir_accel_temperature(&h->accel, cdeg);
}

int host_accel_self_test(host_accel_t *h, int16_t *moved_mg)
{
    return whir_accel_self_test(&h->accel, moved_mg);
}

int host_accel_mounting(host_accel_t *h, int8_t up, int16_t *mean_mg)
{
    return whir_accel_mounting(&h->accel, up, mean_mg);
}

int host_accel_axes(const char *text, int8_t *axes)
{
    return whir_accel_axes(text, axes);
}

void host_accel_fastest(uint32_t index, uint32_t *values)
{
    const whir_accel_part_t *part = whir_accel_parts[index];
    const whir_accel_rate_t *rate = part->rates;
    const whir_accel_range_t *range = part->ranges;

    while (rate[1].rate_mhz != 0) {
        rate++;
    }
    while (range[1].range_mg != 0) {
        range++;
    }
    values[0] = rate->rate_mhz;
    values[1] = rate->bandwidth_hz;
    values[2] = range->range_mg;
    values[3] = part->noise_ug_rthz;
    values[4] = range->lsb_nano;
    values[5] = part->fifo.samples;
    values[6] = part->fifo.watermark;
}
