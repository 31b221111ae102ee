#include "whir/spool.h"

#include <stddef.h>
#include <string.h>

#include "spool_record.h"
#include "whir/bytes.h"

/* Sectors that count when `head` is the newest: all but one. The one left out is the next to be erased, so that neither a cut
 * in its erase nor what is left of it can bring a message back or hide one. */
static uint32_t tail_of(const whir_spool_t *s, uint32_t head)
{
    return head > s->sectors - 2 ? head - (s->sectors - 2) : 1;
}

static void head_move(whir_spool_t *s, uint32_t head)
{
    s->head = head;
    s->tail = tail_of(s, head);
    if (s->seen_number < s->tail) {
        s->seen_number = s->tail;
        s->seen_offset = 0;
    }
}

/* Messages of the sectors `first` .. `last` that have no receipt. A receipt names its message's sector, so that counting
 * needs no table. `end` and `writer` tell of the head's last record, when it has one. */
static int pending_count(const whir_spool_t *s, uint32_t first, uint32_t last, uint32_t *pending, spool_place_t *end,
                         uint32_t *writer)
{
    spool_place_t place = {first, 0};
    spool_record_t record;
    uint32_t messages = 0, receipts = 0;
    int found;

    while ((found = whir_spool_record_find(s, &place, &record)) == 1) {
        if (record.type == SPOOL_MESSAGE && place.number <= last) {
            int whole = whir_spool_payload_check(s, place, &record);
            if (whole < 0) {
                return whole;
            }
            messages += (uint32_t)whole;
        } else if (record.type == SPOOL_RECEIPT && record.detail >= first && record.detail <= last) {
            receipts++;
        }
        place.offset += whir_spool_record_extent(record.bytes);
        if (place.number == s->head) {
            *end = place;
            *writer = record.writer;
        }
    }
    *pending = messages > receipts ? messages - receipts : 0;
    return found;
}

int whir_spool_mount(whir_spool_t *s, whir_flash_t *flash, uint32_t base, uint32_t sectors, uint32_t boot)
{
    spool_place_t end;
    uint32_t head = 0, writer = 0;
    int err;

    memset(s, 0, sizeof *s);
    s->flash = flash;
    s->base = base;
    s->sectors = sectors;
    s->boot = boot;
    s->offset = flash->sector_size; /* nothing is written before a sector has been opened */
    for (uint32_t i = 0; i < sectors; i++) {
        spool_record_t record;
        int found = whir_spool_sector_read(s, i, &record);

        if (found < 0) {
            return found;
        }
        if (found == 1 && record.number > head) {
            head = record.number;
            writer = record.writer;
        }
    }
    head_move(s, head);
    if (head == 0) {
        return 0;
    }
    end = (spool_place_t){head, WHIR_SPOOL_RECORD_BYTES};
    err = pending_count(s, s->tail, head, &s->pending, &end, &writer);
    if (err < 0) {
        return err;
    }
    /*
     * Behind the last good record a cut may have left a header that was begun, whatever it reads as, and each boot since then
     * one more. Each boot therefore starts one cell further on than the boot before it could have.
     */
    if (boot >= writer && boot - writer < (flash->sector_size - end.offset) / WHIR_SPOOL_RECORD_BYTES) {
        s->offset = end.offset + (boot - writer) * WHIR_SPOOL_RECORD_BYTES;
    }
    return 0;
}

/* Makes room for a record in the head: opens the next sector when needed, which drops the oldest one in the same write. */
static int room_make(whir_spool_t *s, uint32_t extent)
{
    spool_place_t end;
    uint32_t lost = 0, writer, next = s->head + 1, tail = tail_of(s, next);
    int err;

    if (extent <= s->flash->sector_size - s->offset) {
        return 0;
    }
    if (s->head != 0 && tail > s->tail) {
        err = pending_count(s, s->tail, s->tail, &lost, &end, &writer);
        if (err < 0) {
            return err;
        }
    }
    err = s->flash->erase(s->flash, whir_spool_address(s, (spool_place_t){next, 0}));
    if (err == 0) {
        err = whir_spool_sector_write(s, next);
    }
    if (err < 0) {
        return err;
    }
    head_move(s, next);
    s->offset = WHIR_SPOOL_RECORD_BYTES;
    s->pending -= lost < s->pending ? lost : s->pending;
    s->dropped += lost;
    return 0;
}

/* Writes a record at the head's offset, for which there is room. */
static int record_append(whir_spool_t *s, const spool_record_t *record, const uint8_t *payload)
{
    spool_place_t place = {s->head, s->offset};
    int err = whir_spool_record_write(s, place, record);

    if (err == 0) {
        err = whir_spool_payload_write(s, place, payload, record->bytes);
    }
    /* after a failure nothing is known of the cells behind: this sector is not written again */
    s->offset = err < 0 ? s->flash->sector_size : place.offset + whir_spool_record_extent(record->bytes);
    return err;
}

int whir_spool_append(whir_spool_t *s, uint8_t topic, uint32_t boot, uint32_t seq, const void *payload, uint16_t bytes)
{
    spool_record_t record = {
        .type = SPOOL_MESSAGE, .topic = topic, .bytes = bytes, .boot = boot, .seq = seq, .writer = s->boot};
    uint32_t extent = whir_spool_record_extent(bytes);
    int err;

    if (extent > s->flash->sector_size - WHIR_SPOOL_RECORD_BYTES) {
        return WHIR_ERR_SPACE;
    }
    err = room_make(s, extent);
    if (err < 0) {
        return err;
    }
    record.number = s->head;
    record.detail = whir_crc32(0, payload, bytes);
    err = record_append(s, &record, payload);
    if (err < 0) {
        return err;
    }
    s->pending++;
    return 0;
}

/* The message (boot, seq) without a receipt: 1 with its sector's number, 0 when there is none. */
static int pending_find(const whir_spool_t *s, uint32_t boot, uint32_t seq, uint32_t *number)
{
    spool_place_t place = {s->seen_number, s->seen_offset};
    spool_record_t record;
    int found, held = 0;

    while ((found = whir_spool_record_find(s, &place, &record)) == 1) {
        if (record.boot == boot && record.seq == seq) {
            if (record.type == SPOOL_RECEIPT) {
                return 0;
            }
            held = whir_spool_payload_check(s, place, &record);
            if (held < 0) {
                return held;
            }
            *number = place.number;
        }
        place.offset += whir_spool_record_extent(record.bytes);
    }
    return found < 0 ? found : held;
}

int whir_spool_receipt(whir_spool_t *s, uint32_t boot, uint32_t seq)
{
    spool_record_t record = {.type = SPOOL_RECEIPT, .boot = boot, .seq = seq, .writer = s->boot};
    int found = pending_find(s, boot, seq, &record.detail);
    int err;

    if (found != 1) {
        return found;
    }
    err = room_make(s, WHIR_SPOOL_RECORD_BYTES);
    if (err < 0) {
        return err;
    }
    if (record.detail < s->tail) {
        s->dropped--; /* dropped in making room, but delivered all the same */
        return 1;
    }
    record.number = s->head;
    err = record_append(s, &record, NULL);
    if (err < 0) {
        return err;
    }
    s->pending -= s->pending != 0;
    return 1;
}
