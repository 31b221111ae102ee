#include "capture_slot.h"

#include <string.h>

#include "whir/bytes.h"

#define CELL_CRC_AT 28u
#define BEGUN_CRC_AT 124u

uint32_t whir_capture_slot_at(const whir_capture_t *c, int slot)
{
    return c->base + (uint32_t)slot * c->slot_bytes;
}

int whir_capture_cell_write(const whir_capture_t *c, uint32_t address, uint32_t magic, uint32_t value)
{
    uint8_t cell[SLOT_CELL_BYTES] = {0};

    whir_put_le32(cell, magic);
    whir_put_le32(cell + 4, value);
    whir_put_le32(cell + CELL_CRC_AT, whir_crc32(0, cell, CELL_CRC_AT));
    return c->flash->write(c->flash, address, cell, sizeof cell);
}

static int cell_read(const whir_capture_t *c, uint32_t address, uint32_t magic, uint32_t *value)
{
    uint8_t cell[SLOT_CELL_BYTES];
    int err = c->flash->read(c->flash, address, cell, sizeof cell);

    if (err < 0) {
        return err;
    }
    *value = whir_le32(cell + 4);
    return whir_le32(cell) == magic && whir_le32(cell + CELL_CRC_AT) == whir_crc32(0, cell, CELL_CRC_AT);
}

/* The first sector is erased before the others: without its records the slot holds no capture, whatever a cut leaves of it. */
static void dirty(whir_capture_slot_t *slot, uint32_t sectors)
{
    slot->state = WHIR_CAPTURE_DIRTY;
    slot->erase_next = 0;
    slot->erase_end = (uint8_t)sectors;
}

void whir_capture_release(whir_capture_t *c, int slot)
{
    dirty(&c->slots[slot], whir_capture_slot_sectors(c->flash->sector_size));
}

/* Whether samples lie behind the records: the first block is written before all others. 0, 1, or the flash's error. */
static int has_samples(const whir_capture_t *c, int slot)
{
    uint8_t block[WHIR_FLASH_WRITE_CALL_MAX_BYTES];
    int err = c->flash->read(c->flash, whir_capture_slot_at(c, slot) + c->flash->sector_size, block, sizeof block);

    for (uint32_t i = 0; err == 0 && i < sizeof block; i++) {
        if (block[i] != 0xFF) {
            return 1;
        }
    }
    return err;
}

int whir_capture_slot_mount(whir_capture_t *c, int slot)
{
    whir_capture_slot_t *s = &c->slots[slot];
    uint32_t at = whir_capture_slot_at(c, slot), boot;
    uint8_t record[SLOT_BEGUN_BYTES];
    int ready, begun, done, samples;

    whir_capture_release(c, slot);
    ready = cell_read(c, at + SLOT_READY_AT, SLOT_READY_MAGIC, &boot);
    if (ready != 1) {
        return ready;
    }
    begun = whir_capture_begun_read(c, slot, record);
    if (begun < 0) {
        return begun;
    }
    if (begun == 0) { /* free; or the erase of a capture was cut and spared `ready`: then its samples are there still */
        samples = has_samples(c, slot);
        if (samples == 0) { /* a record, or a unit of the first block, may have been begun here and read as blank */
            dirty(s, 2);
        }
        return samples < 0 ? samples : 0;
    }
    done = cell_read(c, at + SLOT_DONE_AT, SLOT_DONE_MAGIC, &s->samples);
    if (done == 0) { /* the power went in the middle */
        c->dropped++;
    } else if (done == 1) {
        s->state = WHIR_CAPTURE_FULL;
        s->channels = record[WHIR_CAPTURE_OFFSET_CHANNELS];
        s->boot = whir_le32(record + WHIR_CAPTURE_OFFSET_CAPTURE_BOOT);
        s->number = whir_le32(record + WHIR_CAPTURE_OFFSET_CAPTURE);
    }
    return done < 0 ? done : 0;
}

int whir_capture_begun_write(const whir_capture_t *c, int slot, const whir_capture_cause_t *cause, uint32_t pre)
{
    uint8_t h[SLOT_BEGUN_BYTES] = {0};

    whir_put_le32(h, WHIR_CAPTURE_MAGIC);
    whir_put_le16(h + WHIR_CAPTURE_OFFSET_FORMAT_VERSION, WHIR_CAPTURE_FORMAT_VERSION);
    whir_put_le16(h + WHIR_CAPTURE_OFFSET_HEADER_BYTES, WHIR_CAPTURE_HEADER_BYTES);
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_TS, (uint32_t)cause->ts);
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_TS + 4, (uint32_t)(cause->ts >> 32));
    h[WHIR_CAPTURE_OFFSET_SYNCED] = cause->synced;
    h[WHIR_CAPTURE_OFFSET_TRIGGER] = cause->trigger;
    h[WHIR_CAPTURE_OFFSET_UNIT] = c->sensor.unit;
    h[WHIR_CAPTURE_OFFSET_CHANNELS] = c->sensor.channels;
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_RATE_MHZ, c->sensor.rate_mhz);
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_LSB_NANO, c->sensor.lsb_nano);
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_CAPTURE_BOOT, c->boot);
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_CAPTURE, c->number);
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_PRE, pre);
    whir_put_le32(h + WHIR_CAPTURE_OFFSET_OCCURRENCE, cause->occurrence);
    if (cause->action != NULL) {
        memcpy(h + WHIR_CAPTURE_OFFSET_ACTION, cause->action,
               strlen(cause->action)); /* parsed to WHIR_MESSAGE_COMMAND_ID_MAX_BYTES */
    }
    whir_put_le32(h + BEGUN_CRC_AT, whir_crc32(0, h, BEGUN_CRC_AT));
    return c->flash->write(c->flash, whir_capture_slot_at(c, slot) + SLOT_BEGUN_AT, h, sizeof h);
}

int whir_capture_begun_read(const whir_capture_t *c, int slot, uint8_t record[SLOT_BEGUN_BYTES])
{
    int err = c->flash->read(c->flash, whir_capture_slot_at(c, slot) + SLOT_BEGUN_AT, record, SLOT_BEGUN_BYTES);

    if (err < 0) {
        return err;
    }
    return whir_le32(record) == WHIR_CAPTURE_MAGIC &&
           whir_le16(record + WHIR_CAPTURE_OFFSET_FORMAT_VERSION) == WHIR_CAPTURE_FORMAT_VERSION &&
           whir_le32(record + BEGUN_CRC_AT) == whir_crc32(0, record, BEGUN_CRC_AT);
}
