#include <string.h>

#include "factory_parts.h"
#include "whir/bytes.h"

#define RATE_MS 4000
#define RUNS 8 /* of the model */

static uint64_t micros(const whir_factory_t *f)
{
    return f->board->micros == NULL ? 0 : f->board->micros(f->board);
}

static uint32_t cycles(const whir_factory_t *f)
{
    return f->board->cycles == NULL ? 0 : f->board->cycles(f->board);
}

static void put_since(const whir_factory_t *f, whir_json_t *j, const char *key, uint64_t begun_us)
{
    if (f->board->micros == NULL) {
        whir_json_string(j, key, NULL);
    } else {
        whir_json_u64(j, key, micros(f) - begun_us);
    }
}

/* What the sensor is said to do. */
int whir_factory_facts(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    const whir_sensor_info_t *sensor = &f->node->config.sensor;

    (void)waited_ms;
    whir_json_string(j, "part", f->board->part);
    whir_json_u64(j, "rate_mhz", sensor->rate_mhz);
    whir_json_u64(j, "bandwidth_hz", sensor->bandwidth_hz);
    whir_json_u64(j, "noise_ug_rthz", sensor->noise_ug_rthz);
    return 1;
}

/* The first of two; the second comes with the end. */
int whir_factory_clock(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    (void)waited_ms;
    put_since(f, j, "us", 0);
    f->counted = 0;
    return 1;
}

int whir_factory_rate(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    if (waited_ms < RATE_MS) {
        return 0;
    }
    whir_json_u64(j, "rate_mhz", (uint64_t)f->counted * 1000000u / waited_ms);
    f->samples = 0; /* the noise floor is next */
    memset(f->sum, 0, sizeof f->sum);
    memset(f->squares, 0, sizeof f->squares);
    return 1;
}

/* --- flash --- */

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)(7 * at + (at >> 8) + 13);
}

/* The last sector of the slot that is not in service, where no bundle reaches it: whoever writes a bundle there erases first.
 */
static int spare_sector(whir_node_t *node, uint32_t *address)
{
    const whir_node_layout_t *layout = &node->config.layout;
    whir_flash_t *flash = node->ports.flash;
    int slot = node->slots.state.active == 0;
    uint8_t head[12];
    int err;

    if (node->updating) {
        return WHIR_ERR_BUSY;
    }
    *address = layout->slot_base[slot] + layout->slot_bytes - flash->sector_size;
    err = flash->read(flash, layout->slot_base[slot], head, sizeof head);
    if (err < 0) {
        return err;
    }
    return whir_le32(head) == WHIR_BUNDLE_MAGIC && whir_le32(head + 8) > layout->slot_bytes - flash->sector_size ? WHIR_ERR_BUSY
                                                                                                                 : 0;
}

/* Writes the units first, first + step, …: each once. */
static int program(whir_flash_t *flash, uint32_t address, uint32_t bytes, uint32_t first, uint32_t step)
{
    uint8_t block[WHIR_FLASH_WRITE_CALL_MAX_BYTES];
    int err = 0;

    for (uint32_t at = first * bytes; at < flash->sector_size && err == 0; at += step * bytes) {
        for (uint32_t i = 0; i < bytes; i++) {
            block[i] = pattern(at + i);
        }
        err = flash->write(flash, address + at, block, bytes);
    }
    return err;
}

/* How many bytes are not what was written, as they are read and as they are mapped; or the error. */
static int wrong(whir_flash_t *flash, uint32_t address)
{
    const uint8_t *mapped = flash->map == NULL ? NULL : flash->map(flash, address, flash->sector_size);
    uint8_t got[WHIR_FLASH_WRITE_CALL_MAX_BYTES];
    int found = 0;

    for (uint32_t at = 0; at < flash->sector_size; at += (uint32_t)sizeof got) {
        int err = flash->read(flash, address + at, got, sizeof got);
        if (err < 0) {
            return err;
        }
        for (uint32_t i = 0; i < sizeof got; i++) {
            found += got[i] != pattern(at + i) || (mapped != NULL && mapped[at + i] != pattern(at + i));
        }
    }
    return found;
}

/* The rules that the core keeps to must be enough for this flash: units of write_size in any order, each once between erases,
 * and none of them touches its neighbours. Then whole blocks, for the time. The sector is left erased. */
int whir_factory_flash(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    whir_flash_t *flash = f->node->ports.flash;
    uint64_t begun_us;
    uint32_t address = 0;
    int units, blocks, err = spare_sector(f->node, &address);

    (void)waited_ms;
    whir_json_u64(j, "sector", flash->sector_size);
    whir_json_u64(j, "unit", flash->write_size);
    begun_us = micros(f);
    err = err < 0 ? err : flash->erase(flash, address);
    put_since(f, j, "erase_us", begun_us);
    begun_us = micros(f);
    err = err < 0 ? err : program(flash, address, flash->write_size, 0, 2);
    err = err < 0 ? err : program(flash, address, flash->write_size, 1, 2);
    put_since(f, j, "units_us", begun_us);
    units = err < 0 ? err : wrong(flash, address);
    err = units < 0 ? units : flash->erase(flash, address);
    begun_us = micros(f);
    err = err < 0 ? err : program(flash, address, WHIR_FLASH_WRITE_CALL_MAX_BYTES, 0, 1);
    put_since(f, j, "blocks_us", begun_us);
    blocks = err < 0 ? err : wrong(flash, address);
    err = blocks < 0 ? blocks : flash->erase(flash, address);
    if (err < 0) {
        whir_json_string(j, "code", whir_error_name(err));
    } else {
        whir_json_u64(j, "wrong", (uint64_t)units + (uint64_t)blocks);
    }
    return 1;
}

/* --- what the model in service costs --- */

static void put_cycles(const whir_factory_t *f, whir_json_t *j, const char *key, uint32_t begun)
{
    if (f->board->cycles == NULL) {
        whir_json_string(j, key, NULL);
    } else {
        whir_json_u64(j, key, (cycles(f) - begun) / RUNS);
    }
}

int whir_factory_cycles(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    whir_node_t *node = f->node;
    const whir_params_t *params = &node->bundle.params;
    int8_t output[WHIR_VERDICT_CLASSES_MAX];
    uint32_t begun;
    int err = 0;

    (void)waited_ms;
    if (!node->serving) {
        whir_json_string(j, "code", "no model");
        return 1;
    }
    whir_json_string(j, "engine", node->ports.engine->name);
    begun = cycles(f);
    for (int i = 0; i < RUNS; i++) {
        whir_features_extract(params, node->ring, node->shaft_mhz, node->scratch, node->features);
        whir_features_quantize(params, node->features, node->input);
    }
    put_cycles(f, j, "features", begun);
    begun = cycles(f);
    for (int i = 0; i < RUNS && err == 0; i++) {
        err = node->ports.engine->invoke(node->ports.engine, node->input, output);
    }
    put_cycles(f, j, "infer", begun);
    if (err < 0) {
        whir_json_string(j, "code", whir_error_name(err));
    }
    return 1;
}

int whir_factory_golden_timed(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    uint64_t begun_us = micros(f);

    (void)whir_factory_golden(f, j, waited_ms);
    put_since(f, j, "us", begun_us);
    return 1;
}
