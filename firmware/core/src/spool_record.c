#include "spool_record.h"

#include <string.h>

#include "whir/bytes.h"

#define MAGIC 0x5753u /* "SW" */
#define CRC_AT 28u
#define CHUNK_BYTES 64u
#define FORMAT_VERSION 1u

uint32_t whir_spool_record_extent(uint32_t bytes)
{
    return WHIR_SPOOL_RECORD_BYTES + (bytes + WHIR_SPOOL_RECORD_BYTES - 1) / WHIR_SPOOL_RECORD_BYTES * WHIR_SPOOL_RECORD_BYTES;
}

uint32_t whir_spool_address(const whir_spool_t *s, spool_place_t place)
{
    return s->base + place.number % s->sectors * s->flash->sector_size + place.offset;
}

/* 1 = a good record of any kind at `address`, 0 = anything else, or the flash's error. */
static int record_decode(const whir_spool_t *s, uint32_t address, spool_record_t *record)
{
    uint8_t b[WHIR_SPOOL_RECORD_BYTES];
    int err = s->flash->read(s->flash, address, b, sizeof b);

    if (err < 0) {
        return err;
    }
    if (whir_le16(b) != MAGIC || whir_le32(b + CRC_AT) != whir_crc32(0, b, CRC_AT)) {
        return 0;
    }
    record->type = b[2];
    record->topic = b[3];
    record->bytes = whir_le16(b + 4);
    record->boot = whir_le32(b + 8);
    record->seq = whir_le32(b + 12);
    record->writer = whir_le32(b + 16);
    record->number = whir_le32(b + 20);
    record->detail = whir_le32(b + 24);
    return 1;
}

int whir_spool_sector_read(const whir_spool_t *s, uint32_t index, spool_record_t *record)
{
    int found = record_decode(s, s->base + index * s->flash->sector_size, record);

    if (found != 1) {
        return found;
    }
    return record->type == SPOOL_SECTOR && record->number != 0 && record->number % s->sectors == index &&
           record->boot == s->sectors && record->seq == FORMAT_VERSION;
}

int whir_spool_sector_write(const whir_spool_t *s, uint32_t number)
{
    spool_record_t record = {
        .type = SPOOL_SECTOR, .boot = s->sectors, .seq = FORMAT_VERSION, .writer = s->boot, .number = number};

    return whir_spool_record_write(s, (spool_place_t){number, 0}, &record);
}

int whir_spool_record_read(const whir_spool_t *s, spool_place_t place, spool_record_t *record)
{
    int found = record_decode(s, whir_spool_address(s, place), record);

    if (found != 1) {
        return found;
    }
    return record->number == place.number && (record->type == SPOOL_MESSAGE || record->type == SPOOL_RECEIPT) &&
           whir_spool_record_extent(record->bytes) <= s->flash->sector_size - place.offset;
}

int whir_spool_record_write(const whir_spool_t *s, spool_place_t place, const spool_record_t *record)
{
    uint8_t b[WHIR_SPOOL_RECORD_BYTES] = {0};

    whir_put_le16(b, MAGIC);
    b[2] = record->type;
    b[3] = record->topic;
    whir_put_le16(b + 4, record->bytes);
    whir_put_le32(b + 8, record->boot);
    whir_put_le32(b + 12, record->seq);
    whir_put_le32(b + 16, record->writer);
    whir_put_le32(b + 20, record->number);
    whir_put_le32(b + 24, record->detail);
    whir_put_le32(b + CRC_AT, whir_crc32(0, b, CRC_AT));
    return s->flash->write(s->flash, whir_spool_address(s, place), b, sizeof b);
}

int whir_spool_record_find(const whir_spool_t *s, spool_place_t *place, spool_record_t *record)
{
    for (; s->head != 0 && place->number <= s->head; place->number++, place->offset = 0) {
        uint32_t end = place->number == s->head ? s->offset : s->flash->sector_size;

        if (place->offset == 0) {
            place->offset = WHIR_SPOOL_RECORD_BYTES; /* behind the sector's own header */
        }
        for (; place->offset + WHIR_SPOOL_RECORD_BYTES <= end; place->offset += WHIR_SPOOL_RECORD_BYTES) {
            int found = whir_spool_record_read(s, *place, record);
            if (found != 0) {
                return found;
            }
            /* a header that was cut, or a cell that a later boot left out: the next cell */
        }
    }
    return 0;
}

int whir_spool_payload_write(const whir_spool_t *s, spool_place_t place, const uint8_t *payload, uint32_t bytes)
{
    uint32_t address = whir_spool_address(s, place) + WHIR_SPOOL_RECORD_BYTES;
    uint8_t chunk[WHIR_FLASH_WRITE_CALL_MAX_BYTES];

    while (bytes != 0) {
        uint32_t now = bytes < sizeof chunk ? bytes : (uint32_t)sizeof chunk;
        uint32_t units = (now + s->flash->write_size - 1) / s->flash->write_size;
        int err;

        memcpy(chunk, payload, now);
        memset(chunk + now, 0, sizeof chunk - now);
        err = s->flash->write(s->flash, address, chunk, units * s->flash->write_size);
        if (err < 0) {
            return err;
        }
        address += now;
        payload += now;
        bytes -= now;
    }
    return 0;
}

int whir_spool_payload_check(const whir_spool_t *s, spool_place_t place, const spool_record_t *record)
{
    uint32_t address = whir_spool_address(s, place) + WHIR_SPOOL_RECORD_BYTES;
    uint32_t crc = 0;

    for (uint32_t done = 0; done < record->bytes;) {
        uint8_t chunk[CHUNK_BYTES];
        uint32_t now = record->bytes - done < CHUNK_BYTES ? record->bytes - done : CHUNK_BYTES;
        int err = s->flash->read(s->flash, address + done, chunk, now);

        if (err < 0) {
            return err;
        }
        crc = whir_crc32(crc, chunk, now);
        done += now;
    }
    return crc == record->detail;
}
