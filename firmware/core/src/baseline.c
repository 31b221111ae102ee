#include "whir/baseline.h"

#include <string.h>

#include "whir/bytes.h"
#include "whir/contract.h"
#include "whir/novelty.h"

/*
 * A record at the start of its sector, little-endian:
 *   0 magic u32 | 4 version u16 | 6 count u16 | 8 sequence u32 | 12 extraction u32 | 16 limit_q8, 18 velocity_hz u16 |
 *   20 windows u32 | 24 velocity_um_s u32 | 28 CRC-32 of the 28 bytes before and the entries | 32 entries, then zeros
 * 32 bytes are whole units at every write size. The entries are written first, the header makes them count.
 */
#define MAGIC 0x45534142u /* "BASE" */
#define VERSION 1
#define HEADER_BYTES 32u
#define CRC_AT 28u

static uint32_t crc_of(const uint8_t *header, const uint8_t *entries, uint32_t count)
{
    return whir_crc32(whir_crc32(0, header, CRC_AT), entries, count * WHIR_NOVELTY_ENTRY_BYTES);
}

/* The sequence of a good record at `record`, with facts filled; 0 for anything else. */
static uint32_t record_read(const uint8_t *record, uint32_t sector_size, whir_baseline_facts_t *facts)
{
    uint16_t count = whir_le16(record + 6);

    if (whir_le32(record) != MAGIC || whir_le16(record + 4) != VERSION || count > WHIR_FEATURE_COUNT_MAX ||
        HEADER_BYTES + (uint32_t)count * WHIR_NOVELTY_ENTRY_BYTES > sector_size ||
        whir_le32(record + CRC_AT) != crc_of(record, record + HEADER_BYTES, count)) {
        return 0;
    }
    facts->count = count;
    facts->extraction = whir_le32(record + 12);
    facts->limit_q8 = whir_le16(record + 16);
    facts->velocity_hz = whir_le16(record + 18);
    facts->windows = whir_le32(record + 20);
    facts->velocity_um_s = whir_le32(record + 24);
    return whir_le32(record + 8);
}

static const uint8_t *record_at(const whir_baseline_t *b, uint32_t sector)
{
    return b->flash->map(b->flash, b->base + sector * b->flash->sector_size, b->flash->sector_size);
}

int whir_baseline_mount(whir_baseline_t *b, whir_flash_t *flash, uint32_t base)
{
    memset(b, 0, sizeof *b);
    b->flash = flash;
    b->base = base;
    for (uint32_t sector = 0; sector < 2; sector++) {
        const uint8_t *record = record_at(b, sector);
        whir_baseline_facts_t facts;
        uint32_t sequence;

        if (record == NULL) {
            return WHIR_ERR_FLASH;
        }
        sequence = record_read(record, flash->sector_size, &facts);
        if (sequence > b->sequence) {
            b->sequence = sequence;
            b->sector = sector;
            b->facts = facts;
            b->entries = record + HEADER_BYTES;
        }
    }
    return 0;
}

static int entries_write(const whir_baseline_t *b, uint32_t at, const uint8_t *entries, uint32_t bytes)
{
    uint8_t block[WHIR_FLASH_WRITE_CALL_MAX_BYTES];
    int err = 0;

    for (uint32_t done = 0; err == 0 && done < bytes;) {
        uint32_t left = bytes - done;
        uint32_t here = left < sizeof block ? left : (uint32_t)sizeof block;
        uint32_t whole = (here + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;

        memset(block, 0, sizeof block);
        memcpy(block, entries + done, here);
        err = b->flash->write(b->flash, at + done, block, whole);
        done += here;
    }
    return err;
}

int whir_baseline_store(whir_baseline_t *b, const whir_baseline_facts_t *facts, const uint8_t *entries)
{
    uint32_t sector = b->sequence == 0 ? 0 : 1 - b->sector;
    uint32_t at = b->base + sector * b->flash->sector_size;
    uint8_t header[HEADER_BYTES];
    int err;

    if (HEADER_BYTES + ((uint32_t)facts->count * WHIR_NOVELTY_ENTRY_BYTES + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES >
        b->flash->sector_size) {
        return WHIR_ERR_SPACE;
    }
    memset(header, 0, sizeof header);
    whir_put_le32(header, MAGIC);
    whir_put_le16(header + 4, VERSION);
    whir_put_le16(header + 6, facts->count);
    whir_put_le32(header + 8, b->sequence + 1);
    whir_put_le32(header + 12, facts->extraction);
    whir_put_le16(header + 16, facts->limit_q8);
    whir_put_le16(header + 18, facts->velocity_hz);
    whir_put_le32(header + 20, facts->windows);
    whir_put_le32(header + 24, facts->velocity_um_s);
    whir_put_le32(header + CRC_AT, crc_of(header, entries, facts->count));
    /* this sector holds an older record or none: a cut in what follows leaves the newest where it is */
    err = b->flash->erase(b->flash, at);
    if (err == 0) {
        err = entries_write(b, at + HEADER_BYTES, entries, (uint32_t)facts->count * WHIR_NOVELTY_ENTRY_BYTES);
    }
    if (err == 0) {
        err = b->flash->write(b->flash, at, header, HEADER_BYTES);
    }
    if (err < 0) {
        return err;
    }
    b->sequence++;
    b->sector = sector;
    b->facts = *facts;
    b->entries = record_at(b, sector) + HEADER_BYTES;
    return 0;
}
