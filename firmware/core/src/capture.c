#include "whir/capture.h"

#include <string.h>

#include "capture_slot.h"
#include "whir/bytes.h"

#define BLOCK_WORDS (WHIR_FLASH_WRITE_CALL_MAX_BYTES / 2u)
/* A block is written each so many samples: faster than three axes fill it, so that what lay before the trigger is caught up
 * with, and not all of it at once. The ring has this much more than is handed out. */
#define WRITE_EACH 32u
#define CHUNK_DATA_BYTES (WHIR_MESSAGE_MESSAGE_MAX_BYTES - WHIR_CAPTURE_HEADER_BYTES - 4u)

static uint32_t pre_samples(const whir_sensor_info_t *sensor)
{
    uint32_t second = (uint32_t)((uint64_t)sensor->rate_mhz * WHIR_CAPTURE_PRE_MS / 1000000u);

    return second < WHIR_CAPTURE_SAMPLES / 2 ? second : WHIR_CAPTURE_SAMPLES / 2;
}

uint32_t whir_capture_ring_bytes(const whir_sensor_info_t *sensor)
{
    return (pre_samples(sensor) + WRITE_EACH) * sensor->channels * 2u;
}

uint32_t whir_capture_slot_sectors(uint32_t sector_size)
{
    return 1 + (WHIR_CAPTURE_SAMPLES * WHIR_WINDOW_CHANNELS_MAX * 2 + sector_size - 1) / sector_size;
}

int whir_capture_mount(whir_capture_t *c, whir_flash_t *flash, uint32_t base, uint8_t slots, const whir_sensor_info_t *sensor,
                       int16_t *ring, uint32_t ring_bytes, uint32_t boot)
{
    uint32_t frame_bytes = sensor->channels * 2u;

    memset(c, 0, sizeof *c);
    c->recording = -1;
    if (slots == 0 || ring == NULL || frame_bytes == 0 || ring_bytes < (1 + WRITE_EACH) * frame_bytes) {
        return 0;
    }
    c->flash = flash;
    c->sensor = *sensor;
    c->base = base;
    c->slot_bytes = whir_capture_slot_sectors(flash->sector_size) * flash->sector_size;
    c->slot_count = slots < WHIR_CAPTURE_SLOTS_MAX ? slots : WHIR_CAPTURE_SLOTS_MAX;
    c->boot = boot;
    c->ring = ring;
    c->pre_max = ring_bytes / frame_bytes - WRITE_EACH;
    c->pre_max = c->pre_max < pre_samples(sensor) ? c->pre_max : pre_samples(sensor);
    c->ring_words = (c->pre_max + WRITE_EACH) * sensor->channels;
    for (int i = 0; i < c->slot_count; i++) {
        int err = whir_capture_slot_mount(c, i);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static uint32_t data_at(const whir_capture_t *c, int slot)
{
    return whir_capture_slot_at(c, slot) + c->flash->sector_size;
}

/* The recording is over: a capture when there are samples and the flash took all of it. */
static void finish(whir_capture_t *c, int err)
{
    int slot = c->recording;
    whir_capture_slot_t *s = &c->slots[slot];

    c->recording = -1;
    s->samples = c->written / (c->sensor.channels * 2u);
    if (err == 0 && s->samples > 0) {
        err = whir_capture_cell_write(c, whir_capture_slot_at(c, slot) + SLOT_DONE_AT, SLOT_DONE_MAGIC, s->samples);
    }
    if (err < 0 || s->samples == 0) {
        c->dropped++;
        whir_capture_release(c, slot);
        return;
    }
    s->state = WHIR_CAPTURE_FULL;
    s->channels = c->sensor.channels;
    s->boot = c->boot;
    s->number = c->number++;
}

/* Writes a block, if there is a whole one or nothing more to come. 0, or the flash's error. */
static int block_write(whir_capture_t *c)
{
    uint8_t block[WHIR_FLASH_WRITE_CALL_MAX_BYTES] = {0};
    uint32_t words = c->unwritten < BLOCK_WORDS ? c->unwritten : BLOCK_WORDS;
    int err;

    if (words < BLOCK_WORDS && c->left > 0) {
        return 0;
    }
    for (uint32_t i = 0; i < words; i++) {
        whir_put_le16(block + 2 * i, (uint16_t)c->ring[c->from]);
        c->from = c->from + 1 == c->ring_words ? 0 : c->from + 1;
    }
    err = c->flash->write(c->flash, data_at(c, c->recording) + c->written, block, sizeof block);
    if (err == 0) {
        c->unwritten -= words;
        c->written += 2 * words;
    }
    return err;
}

static void record(whir_capture_t *c)
{
    int err = block_write(c);

    if (err < 0 || (c->left == 0 && c->unwritten == 0)) {
        finish(c, err);
    }
}

void whir_capture_push(whir_capture_t *c, const int16_t *sample)
{
    uint32_t channels = c->sensor.channels;

    if (c->slot_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < channels; i++) {
        c->ring[c->head] = sample[i];
        c->head = c->head + 1 == c->ring_words ? 0 : c->head + 1;
    }
    c->held = c->held + channels < c->ring_words ? c->held + channels : c->ring_words;
    if (c->recording < 0) {
        return;
    }
    if (c->left > 0) {
        c->left -= channels;
        c->unwritten += channels;
    }
    if (++c->since_write == WRITE_EACH) {
        c->since_write = 0;
        record(c);
    }
}

void whir_capture_gap(whir_capture_t *c)
{
    c->held = 0;
    if (c->recording >= 0) {
        c->left = 0;
    }
    while (c->recording >= 0) {
        record(c);
    }
}

int whir_capture_start(whir_capture_t *c, const whir_capture_cause_t *cause)
{
    uint32_t channels = c->sensor.channels;
    uint32_t pre;
    int slot = 0, err;

    if (c->recording >= 0) {
        return WHIR_ERR_BUSY;
    }
    while (slot < c->slot_count && c->slots[slot].state != WHIR_CAPTURE_READY) {
        slot++;
    }
    if (slot == c->slot_count) {
        return WHIR_ERR_STATE;
    }
    pre = c->held / channels < c->pre_max ? c->held / channels : c->pre_max;
    err = whir_capture_begun_write(c, slot, cause, pre);
    if (err < 0) {
        whir_capture_release(c, slot);
        return err;
    }
    c->slots[slot].state = WHIR_CAPTURE_RECORDING;
    c->recording = (int8_t)slot;
    c->unwritten = pre * channels;
    c->from = (c->head + c->ring_words - c->unwritten) % c->ring_words;
    c->left = (WHIR_CAPTURE_SAMPLES - pre) * channels;
    c->written = 0;
    c->since_write = WRITE_EACH - 1;
    return 0;
}

void whir_capture_step(whir_capture_t *c)
{
    int slot = 0, err;
    whir_capture_slot_t *s;
    uint32_t at;

    while (slot < c->slot_count && c->slots[slot].state != WHIR_CAPTURE_DIRTY) {
        slot++;
    }
    if (slot == c->slot_count || c->recording >= 0) { /* an erase could cost a recording its samples */
        return;
    }
    s = &c->slots[slot];
    at = whir_capture_slot_at(c, slot);
    err = c->flash->erase(c->flash, at + s->erase_next * c->flash->sector_size);
    s->erase_next = (uint8_t)(s->erase_next + (err == 0));
    if (s->erase_next == s->erase_end) {
        err = whir_capture_cell_write(c, at + SLOT_READY_AT, SLOT_READY_MAGIC, c->boot);
        if (err == 0) {
            s->state = WHIR_CAPTURE_READY;
        } else {
            whir_capture_release(c, slot);
        }
    }
}

int whir_capture_oldest(const whir_capture_t *c)
{
    int oldest = -1;

    for (int i = 0; i < c->slot_count; i++) {
        const whir_capture_slot_t *s = &c->slots[i];
        if (s->state == WHIR_CAPTURE_FULL && (oldest < 0 || s->boot < c->slots[oldest].boot ||
                                              (s->boot == c->slots[oldest].boot && s->number < c->slots[oldest].number))) {
            oldest = i;
        }
    }
    return oldest;
}

static uint32_t chunk_samples(const whir_capture_slot_t *s)
{
    return CHUNK_DATA_BYTES / (s->channels * 2u);
}

uint32_t whir_capture_chunks(const whir_capture_t *c, int slot)
{
    const whir_capture_slot_t *s = &c->slots[slot];

    return (s->samples + chunk_samples(s) - 1) / chunk_samples(s);
}

int whir_capture_chunk(const whir_capture_t *c, int slot, uint32_t chunk, uint32_t boot, uint32_t seq, uint8_t *out,
                       uint32_t max)
{
    const whir_capture_slot_t *s = &c->slots[slot];
    uint8_t record[SLOT_BEGUN_BYTES];
    uint32_t first = chunk * chunk_samples(s);
    uint32_t count = s->samples - first < chunk_samples(s) ? s->samples - first : chunk_samples(s);
    uint32_t bytes = count * s->channels * 2u;
    uint32_t crc_at = WHIR_CAPTURE_HEADER_BYTES + bytes;
    int err = whir_capture_begun_read(c, slot, record);

    if (err != 1) {
        return err < 0 ? err : WHIR_ERR_CRC;
    }
    if (crc_at + 4 > max) {
        return WHIR_ERR_SPACE;
    }
    memcpy(out, record, WHIR_CAPTURE_HEADER_BYTES);
    whir_put_le32(out + WHIR_CAPTURE_OFFSET_BOOT, boot);
    whir_put_le32(out + WHIR_CAPTURE_OFFSET_SEQ, seq);
    whir_put_le32(out + WHIR_CAPTURE_OFFSET_SAMPLES, s->samples);
    whir_put_le16(out + WHIR_CAPTURE_OFFSET_CHUNK, (uint16_t)chunk);
    whir_put_le16(out + WHIR_CAPTURE_OFFSET_CHUNKS, (uint16_t)whir_capture_chunks(c, slot));
    whir_put_le32(out + WHIR_CAPTURE_OFFSET_FIRST, first);
    err = c->flash->read(c->flash, data_at(c, slot) + first * s->channels * 2u, out + WHIR_CAPTURE_HEADER_BYTES, bytes);
    if (err < 0) {
        return err;
    }
    whir_put_le32(out + crc_at, whir_crc32(0, out, crc_at));
    return (int)(crc_at + 4);
}
