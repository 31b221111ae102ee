#include "whir/slots.h"

#include <string.h>

#include "whir/bytes.h"

/*
 * One record, little-endian:
 *   0 magic u32 | 4 version u16 | 6 bytes u16 | 8 sequence u32 | 12 active, 13 previous, 14 trial, 15 trial_boots u8 |
 *   16 security_counter u32 | 20 boot u32 | 24 action, 40 bytes with its NUL | 64 raise_permille,
 *   66 clear_permille u16 | 68 firmware_counter, 72 firmware_next, 76 firmware_deadline_s, 80 firmware_version u32 |
 *   84 brownouts, 86 crashes u16 | 88 firmware_trial u8 | 89 zeros | 92 CRC-32 of the 92 bytes before
 * 96 bytes are whole units at every write size, so that a record is one operation.
 */
#define RECORD_MAGIC 0x544F4C53u /* "SLOT" */
#define RECORD_VERSION 1
#define RECORD_BYTES 96u
#define ACTION_AT 24u
#define CRC_AT (RECORD_BYTES - 4)
#define SECTORS 2u

static void record_write(uint8_t record[RECORD_BYTES], const whir_slots_state_t *state, uint32_t sequence)
{
    memset(record, 0, RECORD_BYTES);
    whir_put_le32(record, RECORD_MAGIC);
    whir_put_le16(record + 4, RECORD_VERSION);
    whir_put_le16(record + 6, RECORD_BYTES);
    whir_put_le32(record + 8, sequence);
    record[12] = state->active;
    record[13] = state->previous;
    record[14] = state->trial;
    record[15] = state->trial_boots;
    whir_put_le32(record + 16, state->security_counter);
    whir_put_le32(record + 20, state->boot);
    memcpy(record + ACTION_AT, state->action, sizeof state->action);
    whir_put_le16(record + 64, state->raise_permille);
    whir_put_le16(record + 66, state->clear_permille);
    whir_put_le32(record + 68, state->firmware_counter);
    whir_put_le32(record + 72, state->firmware_next);
    whir_put_le32(record + 76, state->firmware_deadline_s);
    whir_put_le32(record + 80, state->firmware_version);
    whir_put_le16(record + 84, state->brownouts);
    whir_put_le16(record + 86, state->crashes);
    record[88] = state->firmware_trial;
    whir_put_le32(record + CRC_AT, whir_crc32(0, record, CRC_AT));
}

/* The sequence of a good record, with `state` filled; 0 for anything else. */
static uint32_t record_read(const uint8_t record[RECORD_BYTES], whir_slots_state_t *state)
{
    if (whir_le32(record) != RECORD_MAGIC || whir_le16(record + 4) != RECORD_VERSION || whir_le16(record + 6) != RECORD_BYTES ||
        whir_le32(record + CRC_AT) != whir_crc32(0, record, CRC_AT)) {
        return 0;
    }
    memset(state, 0, sizeof *state);
    state->active = record[12];
    state->previous = record[13];
    state->trial = record[14];
    state->trial_boots = record[15];
    state->security_counter = whir_le32(record + 16);
    state->boot = whir_le32(record + 20);
    memcpy(state->action, record + ACTION_AT, sizeof state->action - 1);
    state->action[sizeof state->action - 1] = '\0';
    state->raise_permille = whir_le16(record + 64);
    state->clear_permille = whir_le16(record + 66);
    state->firmware_counter = whir_le32(record + 68);
    state->firmware_next = whir_le32(record + 72);
    state->firmware_deadline_s = whir_le32(record + 76);
    state->firmware_version = whir_le32(record + 80);
    state->brownouts = whir_le16(record + 84);
    state->crashes = whir_le16(record + 86);
    state->firmware_trial = record[88];
    return whir_le32(record + 8);
}

int whir_slots_mount(whir_slots_t *s, whir_flash_t *flash, uint32_t base)
{
    memset(s, 0, sizeof *s);
    s->flash = flash;
    s->base = base;
    s->state.active = WHIR_SLOT_NONE;
    s->state.previous = WHIR_SLOT_NONE;
    s->offset = flash->sector_size; /* an earlier boot may have begun a record right behind the newest */
    for (uint32_t sector = 0; sector < SECTORS; sector++) {
        for (uint32_t at = 0; at + RECORD_BYTES <= flash->sector_size; at += RECORD_BYTES) {
            uint8_t record[RECORD_BYTES];
            whir_slots_state_t state;
            uint32_t sequence;
            int err = flash->read(flash, base + sector * flash->sector_size + at, record, RECORD_BYTES);

            if (err < 0) {
                return err;
            }
            sequence = record_read(record, &state);
            if (sequence > s->sequence) {
                s->sequence = sequence;
                s->sector = sector;
                s->state = state;
            }
        }
    }
    return 0;
}

int whir_slots_commit(whir_slots_t *s)
{
    uint8_t record[RECORD_BYTES];
    uint32_t sector = s->sector, offset = s->offset;
    int err;

    s->offset = s->flash->sector_size; /* whatever happens below, this place is used up */
    if (offset + RECORD_BYTES > s->flash->sector_size) {
        sector = (s->sector + 1) % SECTORS;
        offset = 0;
        /* holds older records only: a cut in the erase or in the write leaves the newest one where it is */
        err = s->flash->erase(s->flash, s->base + sector * s->flash->sector_size);
        if (err < 0) {
            return err;
        }
    }
    record_write(record, &s->state, s->sequence + 1);
    err = s->flash->write(s->flash, s->base + sector * s->flash->sector_size + offset, record, RECORD_BYTES);
    if (err < 0) {
        return err;
    }
    s->sector = sector;
    s->offset = offset + RECORD_BYTES;
    s->sequence++;
    return 0;
}
