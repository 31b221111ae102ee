#include <stddef.h>

#include "spool_record.h"
#include "whir/spool.h"

#define BATCH 16u /* messages looked up in one pass over the receipts */

/* Up to BATCH messages from `place` on, which moves behind them. Returns how many. */
static int batch_gather(const whir_spool_t *s, spool_place_t *place, spool_place_t *places, spool_record_t *records)
{
    uint32_t count = 0;

    while (count < BATCH) {
        int found = whir_spool_record_find(s, place, &records[count]);

        if (found < 0) {
            return found;
        }
        if (found == 0) {
            break;
        }
        places[count] = *place;
        place->offset += whir_spool_record_extent(records[count].bytes);
        count += records[count].type == SPOOL_MESSAGE;
    }
    return (int)count;
}

/* Bit i is set when message i of the batch has a receipt. Receipts stand behind their messages, never before. */
static int batch_receipts(const whir_spool_t *s, spool_place_t place, const spool_record_t *records, uint32_t count,
                          uint32_t *receipted)
{
    spool_record_t record;
    int found;

    *receipted = 0;
    while ((found = whir_spool_record_find(s, &place, &record)) == 1) {
        for (uint32_t i = 0; record.type == SPOOL_RECEIPT && i < count; i++) {
            if (record.boot == records[i].boot && record.seq == records[i].seq) {
                *receipted |= 1u << i;
            }
        }
        place.offset += whir_spool_record_extent(record.bytes);
    }
    return found;
}

/* Where to go on behind `after`; from the oldest when its sector has been dropped since. */
static int search_start(const whir_spool_t *s, const whir_spool_item_t *after, spool_place_t *place)
{
    spool_place_t held;
    spool_record_t record;
    uint32_t offset, index;
    int found;

    *place = (spool_place_t){s->seen_number, s->seen_offset};
    if (after == NULL || s->head == 0) {
        return 0;
    }
    offset = after->address - WHIR_SPOOL_RECORD_BYTES - s->base;
    index = offset / s->flash->sector_size;
    held.offset = offset % s->flash->sector_size;
    held.number = s->head - (s->head % s->sectors + s->sectors - index) % s->sectors; /* the newest at this position */
    if (index >= s->sectors || held.number < s->tail || held.number > s->head) {
        return 0;
    }
    found = whir_spool_record_read(s, held, &record);
    if (found == 1 && record.type == SPOOL_MESSAGE && record.boot == after->boot && record.seq == after->seq) {
        held.offset += whir_spool_record_extent(record.bytes);
        *place = held;
    }
    return found < 0 ? found : 0;
}

static int item_fill(whir_spool_t *s, spool_place_t place, const spool_record_t *record, whir_spool_item_t *item, void *payload,
                     uint16_t payload_max)
{
    int err;

    item->boot = record->boot;
    item->seq = record->seq;
    item->topic = record->topic;
    item->bytes = record->bytes;
    item->address = whir_spool_address(s, place) + WHIR_SPOOL_RECORD_BYTES;
    if (record->bytes > payload_max) {
        return WHIR_ERR_SPACE;
    }
    err = s->flash->read(s->flash, item->address, payload, record->bytes);
    return err < 0 ? err : 1;
}

int whir_spool_next(whir_spool_t *s, const whir_spool_item_t *after, whir_spool_item_t *item, void *payload,
                    uint16_t payload_max)
{
    spool_place_t place;
    int count = search_start(s, after, &place);

    if (count < 0) {
        return count;
    }
    do {
        spool_place_t places[BATCH];
        spool_record_t records[BATCH];
        uint32_t receipted;
        int err;

        count = batch_gather(s, &place, places, records);
        if (count <= 0) {
            return count;
        }
        err = batch_receipts(s, places[0], records, (uint32_t)count, &receipted);
        if (err < 0) {
            return err;
        }
        for (int i = 0; i < count; i++) {
            int whole = receipted >> i & 1 ? 0 : whir_spool_payload_check(s, places[i], &records[i]);

            if (whole < 0) {
                return whole;
            }
            if (whole == 1) {
                return item_fill(s, places[i], &records[i], item, payload, payload_max);
            }
            if (after == NULL) { /* done with for ever: the next search begins behind it */
                s->seen_number = places[i].number;
                s->seen_offset = places[i].offset + whir_spool_record_extent(records[i].bytes);
            }
        }
    } while (count == (int)BATCH);
    return 0;
}
