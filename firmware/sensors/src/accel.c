#include "whir/accel.h"

#include <string.h>

#include "whir/contract.h"

#define MEASURE_MIN_US 2000000u /* one watermark in 2 s is 1 % at worst, and shrinks with time */
#define SETTLE_MAX_US 3000000u
#define MEASURE_MAX_US 60000000u /* then again, because crystals follow the temperature */
#define MEAN_SAMPLES 256         /* many enough to average what little moves at rest */
#define MEAN_WAIT_MS 4           /* shorter than any FIFO overruns at its fastest */
#define MEAN_TRIES 200

static int magnitude(int value)
{
    return value < 0 ? -value : value;
}

static uint8_t address(const whir_accel_t *a, uint8_t reg, int is_read, uint32_t bytes)
{
    const whir_accel_part_t *part = a->part;
    uint32_t multi = bytes > 1 ? (a->bus->kind == WHIR_BUS_SPI ? part->spi_multi : part->i2c_multi) : 0u;

    if (a->bus->kind == WHIR_BUS_I2C) {
        return (uint8_t)(reg | multi);
    }
    return (uint8_t)((uint32_t)reg << part->spi_shift | multi | (is_read ? part->spi_read : 0u));
}

static int read_regs(whir_accel_t *a, uint8_t reg, uint8_t *in, uint32_t bytes)
{
    uint8_t out = address(a, reg, 1, bytes);

    return a->bus->transfer(a->bus, &out, 1, in, bytes);
}

static int write_reg(whir_accel_t *a, uint8_t reg, uint8_t value)
{
    uint8_t out[2] = {address(a, reg, 0, 1), value};

    return a->bus->transfer(a->bus, out, sizeof out, NULL, 0);
}

static int change(whir_accel_t *a, uint8_t reg, uint8_t mask, uint8_t value)
{
    uint8_t old = 0;

    if (mask != 0xFF) {
        int err = read_regs(a, reg, &old, 1);
        if (err < 0) {
            return err;
        }
    }
    return write_reg(a, reg, (uint8_t)((old & ~mask) | value));
}

static int run(whir_accel_t *a, const whir_accel_step_t *step)
{
    for (; step->mask != 0; step++) {
        int err = change(a, step->reg, step->mask, step->value);
        if (err < 0) {
            return err;
        }
        if (step->wait_ms != 0) {
            a->bus->wait_ms(a->bus, step->wait_ms);
        }
    }
    return 0;
}

static int identify(whir_accel_t *a)
{
    for (const whir_accel_identity_t *id = a->part->identity; id->value != 0; id++) {
        uint8_t value;
        int err = read_regs(a, id->reg, &value, 1);
        if (err < 0) {
            return err;
        }
        if (value != id->value) {
            return WHIR_ERR_SENSOR_IDENTITY;
        }
    }
    return 0;
}

static int holds(whir_accel_t *a, uint8_t reg, uint8_t mask, uint8_t value)
{
    uint8_t is;
    int err = read_regs(a, reg, &is, 1);

    return err < 0 ? err : (is & mask) == value ? 0 : WHIR_ERR_SENSOR_SETTING;
}

/* The last step that writes a register decides what it must hold. */
static int holds_all(whir_accel_t *a, const whir_accel_step_t *step)
{
    for (; step->mask != 0; step++) {
        const whir_accel_step_t *later = step + 1;
        int err;
        while (later->mask != 0 && later->reg != step->reg) {
            later++;
        }
        err = later->mask == 0 ? holds(a, step->reg, step->mask, step->value) : 0;
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int set_range(whir_accel_t *a, const whir_accel_range_t *range)
{
    int err = change(a, a->part->range_reg, a->part->range_mask, range->value);

    a->range = range;
    return err < 0 ? err : holds(a, a->part->range_reg, a->part->range_mask, range->value);
}

static int choose(whir_accel_t *a)
{
    const whir_accel_settings_t *wanted = &a->settings;

    for (a->rate = a->part->rates; a->rate->rate_mhz != 0; a->rate++) {
        int fast = wanted->rate_mhz == 0 ? a->rate[1].rate_mhz == 0 : a->rate->rate_mhz >= wanted->rate_mhz;
        if (fast && a->rate->bandwidth_hz >= wanted->bandwidth_hz) {
            break;
        }
    }
    for (a->range = a->part->ranges; a->range->range_mg != 0 && a->range->range_mg < wanted->range_mg;) {
        a->range++;
    }
    return a->rate->rate_mhz == 0 ? WHIR_ERR_SENSOR_RATE : a->range->range_mg == 0 ? WHIR_ERR_SENSOR_RANGE : 0;
}

static int are_axes(const int8_t axes[3])
{
    unsigned seen = 0;

    for (int i = 0; i < 3; i++) {
        int axis = magnitude(axes[i]);
        seen |= axis >= 1 && axis <= 3 ? 1u << axis : 0u;
    }
    return seen == 0xE;
}

int whir_accel_axes(const char *text, int8_t axes[3])
{
    int is_right = strlen(text) == 6;

    memset(axes, 0, 3);
    for (int i = 0; is_right && i < 3; i++) {
        char sign = text[2 * i], name = text[2 * i + 1];
        int axis = name >= 'x' && name <= 'z' ? name - 'x' + 1 : 0;
        axes[i] = (int8_t)(sign == '-' ? -axis : sign == '+' ? axis : 0);
    }
    return are_axes(axes) ? 0 : WHIR_ERR_ARG;
}

static void forget(whir_accel_t *a)
{
    a->measuring = 0;
    a->heard = 0;
    a->repeated = 0;
}

int whir_accel_open(whir_accel_t *a, const whir_accel_part_t *part, whir_bus_t *bus, const whir_accel_settings_t *settings)
{
    int err;

    memset(a, 0, sizeof *a);
    if (!are_axes(settings->axes) || (part->buses & bus->kind) == 0) {
        return WHIR_ERR_ARG;
    }
    a->part = part;
    a->bus = bus;
    a->settings = *settings;
    err = choose(a);
    if (err < 0) {
        a->part = NULL;
        return err;
    }
    err = identify(a);
    if (err == 0) {
        err = run(a, part->reset);
    }
    if (err == 0) {
        err = change(a, part->rate_reg, part->rate_mask, a->rate->value);
    }
    if (err == 0) {
        err = set_range(a, a->range);
    }
    if (err == 0 && part->batch_reg != 0) {
        err = write_reg(a, part->batch_reg, a->rate->value >> 4);
    }
    if (err == 0) {
        err = run(a, part->start);
    }
    if (err == 0) {
        err = holds(a, part->rate_reg, part->rate_mask, a->rate->value);
    }
    return err < 0 ? err : holds_all(a, part->start);
}

/* Samples that wait in the FIFO, or why there is none to be had. */
static int level(whir_accel_t *a)
{
    const whir_accel_fifo_t *fifo = &a->part->fifo;
    uint8_t overrun, raw[2] = {0, 0};
    uint32_t waiting;
    int err = read_regs(a, fifo->overrun_reg, &overrun, 1); /* first: reading the level may clear it */

    if (err == 0) {
        err = read_regs(a, fifo->level_reg, raw, fifo->level_bytes);
    }
    if (err < 0) {
        return err;
    }
    waiting = fifo->level_big_endian ? (uint32_t)raw[0] << 8 | raw[1] : raw[0] | (uint32_t)raw[1] << 8;
    waiting = (waiting & fifo->level_mask) / fifo->level_unit;
    /* a full FIFO may overrun before it has been read: nothing would tell */
    if ((overrun & fifo->overrun_mask) != 0 || waiting >= fifo->samples) {
        return WHIR_ERR_SENSOR_OVERRUN;
    }
    return (int)waiting;
}

static int16_t decode(const whir_accel_fifo_t *fifo, const uint8_t *at)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < fifo->axis_bytes; i++) {
        bits = bits << 8 | at[fifo->big_endian ? i : fifo->axis_bytes - 1u - i];
    }
    /* to the top, so that the sign is where it belongs */
    return (int16_t)((int32_t)(bits << (32 - 8 * fifo->axis_bytes)) >> (32 - 8 * fifo->axis_bytes + fifo->shift));
}

static void turn(const whir_accel_t *a, const uint8_t *word, int16_t *out)
{
    const whir_accel_fifo_t *fifo = &a->part->fifo;

    for (int i = 0; i < 3; i++) {
        int axis = a->settings.axes[i];
        int16_t count = decode(fifo, word + fifo->first + (uint32_t)(magnitude(axis) - 1) * fifo->axis_bytes);
        out[i] = axis > 0 ? count : count == INT16_MIN ? INT16_MAX : (int16_t)-count;
    }
}

/* Up to `max` samples out of the FIFO. The number, or an error. */
static int drain(whir_accel_t *a, int16_t *samples, uint32_t max)
{
    const whir_accel_fifo_t *fifo = &a->part->fifo;
    uint8_t words[WHIR_ACCEL_BURST * WHIR_ACCEL_WORD_BYTES_MAX];
    int waiting = level(a);
    uint32_t left = waiting < 0 ? 0 : (uint32_t)waiting;
    uint32_t given = 0;

    left = left < max ? left : max;
    while (left > 0) {
        uint32_t burst = left < fifo->burst ? left : fifo->burst;
        int err = read_regs(a, fifo->data_reg, words, burst * fifo->word_bytes);
        if (err < 0) {
            return err;
        }
        for (uint32_t i = 0; i < burst; i++) {
            const uint8_t *word = words + i * fifo->word_bytes;
            if ((word[0] & fifo->tag_mask) == fifo->tag) {
                turn(a, word, samples + 3 * given++);
            }
        }
        left -= burst;
    }
    return waiting < 0 ? waiting : (int)given;
}

static void measure(whir_accel_t *a, uint32_t samples, uint64_t now_us)
{
    uint64_t elapsed_us = now_us - a->since_us;

    if (!a->measuring) {
        a->measuring = 1; /* what was in the FIFO is older than the measurement */
    } else {
        a->counted += samples;
        if (elapsed_us >= MEASURE_MIN_US) {
            a->measured_mhz = (uint32_t)((a->counted * 1000000000ull + elapsed_us / 2) / elapsed_us);
        }
        if (elapsed_us < MEASURE_MAX_US) {
            return;
        }
    }
    a->since_us = now_us;
    a->counted = 0;
}

/* A part whose counts are coarser than its noise may well stand still. */
static int can_be_stuck(const whir_accel_t *a)
{
    uint64_t half_lsb_ug = a->range->lsb_nano / 2000;
    uint64_t noise_ug = a->part->noise_ug_rthz;

    return noise_ug * noise_ug * a->rate->bandwidth_hz >= half_lsb_ug * half_lsb_ug;
}

static int is_stuck(whir_accel_t *a, const int16_t *samples, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(a->last, samples + 3 * i, sizeof a->last) == 0) {
            a->repeated++;
        } else {
            a->repeated = 0;
            memcpy(a->last, samples + 3 * i, sizeof a->last);
        }
    }
    return a->repeated >= WHIR_ACCEL_STUCK_SAMPLES && can_be_stuck(a);
}

static uint32_t span_us(const whir_accel_t *a, uint32_t samples)
{
    return (uint32_t)(samples * 1000000000ull / a->rate->rate_mhz);
}

uint32_t whir_accel_watermark_us(const whir_accel_t *a)
{
    return span_us(a, a->part->fifo.watermark);
}

uint32_t whir_accel_overrun_us(const whir_accel_t *a)
{
    return span_us(a, a->part->fifo.samples);
}

int whir_accel_read(whir_accel_t *a, int16_t *samples, uint32_t max, uint64_t now_us)
{
    int count = drain(a, samples, max);

    if (count == WHIR_ERR_SENSOR_OVERRUN) {
        int err = run(a, a->part->restart);
        forget(a);
        return err < 0 ? err : count;
    }
    if (count < 0) {
        return count;
    }
    if (count > 0 || !a->heard) {
        a->heard = 1;
        a->fresh_us = now_us;
    } else if (now_us - a->fresh_us > 8ull * whir_accel_watermark_us(a)) {
        return WHIR_ERR_SENSOR_SILENT;
    }
    if (is_stuck(a, samples, (uint32_t)count)) {
        return WHIR_ERR_SENSOR_STUCK;
    }
    measure(a, (uint32_t)count, now_us);
    return count;
}

int whir_accel_settle(whir_accel_t *a, uint64_t (*now_us)(void *ctx), void *ctx)
{
    int16_t samples[WHIR_ACCEL_BURST * 3];
    uint64_t begin_us = now_us(ctx), us;

    while (a->measured_mhz == 0 && (us = now_us(ctx)) - begin_us < SETTLE_MAX_US) {
        if (whir_accel_read(a, samples, WHIR_ACCEL_BURST, us) < WHIR_ACCEL_BURST) {
            a->bus->wait_ms(a->bus, 1);
        }
    }
    return a->measured_mhz != 0 ? 0 : WHIR_ERR_SENSOR_SILENT;
}

void whir_accel_info(const whir_accel_t *a, whir_sensor_info_t *info)
{
    *info = (whir_sensor_info_t){
        .name = a->part->name,
        .rate_mhz = a->measured_mhz != 0 ? a->measured_mhz : a->rate->rate_mhz,
        .bandwidth_hz = a->rate->bandwidth_hz,
        .range_milli = a->range->range_mg,
        .noise_ug_rthz = a->part->noise_ug_rthz,
        .lsb_nano = a->range->lsb_nano,
        .unit = WHIR_UNIT_G,
        .channels = 3,
        .watches = a->part->watch != NULL,
    };
}

int whir_accel_temperature(whir_accel_t *a, int16_t *cdeg)
{
    const whir_accel_temperature_t *t = a->part->temperature;
    uint8_t raw[2];
    int32_t count;
    int err = t == NULL ? WHIR_ERR_STATE : read_regs(a, t->reg, raw, sizeof raw);

    if (err < 0) {
        return err;
    }
    count = t->big_endian ? raw[0] << 8 | raw[1] : raw[1] << 8 | raw[0];
    count = t->is_unsigned ? count : (int16_t)count;
    *cdeg = (int16_t)((count - t->zero_raw) * t->centi_per_1000 / 1000 + t->zero_cdeg);
    return 0;
}

/* Mean of fresh samples on the machine's axes. */
static int mean(whir_accel_t *a, int16_t mean_mg[3])
{
    int16_t samples[WHIR_ACCEL_BURST * 3];
    int32_t sum[3] = {0, 0, 0};
    int32_t counted = 0;
    int err = run(a, a->part->restart);

    for (int tries = 0; err >= 0 && counted < MEAN_SAMPLES && tries < MEAN_TRIES; tries++) {
        a->bus->wait_ms(a->bus, MEAN_WAIT_MS);
        err = drain(a, samples, WHIR_ACCEL_BURST);
        for (int i = 0; i < 3 * err; i++) {
            sum[i % 3] += samples[i];
        }
        counted += err > 0 ? err : 0;
        if (err == WHIR_ERR_SENSOR_OVERRUN) {
            err = run(a, a->part->restart);
        }
    }
    forget(a);
    if (err < 0 || counted < MEAN_SAMPLES) {
        return err < 0 ? err : WHIR_ERR_SENSOR_SILENT;
    }
    for (int i = 0; i < 3; i++) {
        mean_mg[i] = (int16_t)((int64_t)sum[i] * a->range->lsb_nano / counted / 1000000);
    }
    return 0;
}

static int moved(whir_accel_t *a, int16_t moved_mg[3])
{
    const whir_accel_self_test_t *test = &a->part->self_test;
    int16_t before[3], during[3];
    int err = mean(a, before);

    if (err == 0) {
        err = run(a, test->on);
    }
    if (err == 0) {
        err = mean(a, during);
    }
    for (int i = 0; err == 0 && i < 3; i++) {
        moved_mg[i] = (int16_t)magnitude(during[i] - before[i]);
    }
    return err;
}

int whir_accel_self_test(whir_accel_t *a, int16_t moved_mg[3])
{
    const whir_accel_self_test_t *test = &a->part->self_test;
    const whir_accel_range_t *used = a->range, *range = a->part->ranges;
    int err, back;

    if (test->on == NULL) {
        return WHIR_ERR_STATE;
    }
    while (range->range_mg != test->range_mg) {
        range++;
    }
    err = set_range(a, range);
    if (err == 0) {
        err = moved(a, moved_mg);
    }
    for (int i = 0; err == 0 && i < 3; i++) {
        int sensor_axis = magnitude(a->settings.axes[i]) - 1;
        if (moved_mg[i] < test->min_mg[sensor_axis] || moved_mg[i] > test->max_mg[sensor_axis]) {
            err = WHIR_ERR_SENSOR_SELF_TEST;
        }
    }
    back = run(a, test->off); /* also after a failure: the sensor must not go on moving itself */
    if (back == 0) {
        back = set_range(a, used);
    }
    if (back == 0) {
        back = run(a, a->part->restart);
    }
    return err < 0 ? err : back;
}

int whir_accel_mounting(whir_accel_t *a, int8_t up, int16_t mean_mg[3])
{
    int err = up == 0 || magnitude(up) > 3 ? WHIR_ERR_ARG : mean(a, mean_mg);
    int64_t along, square = 0;

    if (err < 0) {
        return err;
    }
    for (int i = 0; i < 3; i++) {
        square += (int64_t)mean_mg[i] * mean_mg[i];
    }
    along = mean_mg[magnitude(up) - 1] * (up > 0 ? 1 : -1);
    /* within 30 degrees: cos^2 = 3/4; and about 1 g long */
    return along > 0 && 4 * along * along >= 3 * square && square >= 500 * 500 && square <= 1500 * 1500
               ? 0
               : WHIR_ERR_SENSOR_MOUNTING;
}

int whir_accel_watch(whir_accel_t *a)
{
    const whir_accel_part_t *part = a->part;
    int err = part->watch == NULL ? WHIR_ERR_STATE : run(a, part->reset);

    err = err < 0 ? err : run(a, part->watch);
    return err < 0 ? err : holds_all(a, part->watch);
}

int whir_accel_stop(whir_accel_t *a)
{
    return run(a, a->part->reset); /* every part stands by after its reset */
}
