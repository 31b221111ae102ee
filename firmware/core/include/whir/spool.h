#ifndef WHIR_SPOOL_H
#define WHIR_SPOOL_H

#include <stdint.h>

#include "whir/contract.h"
#include "whir/port/flash.h"

#define WHIR_SPOOL_RECORD_BYTES 32 /* header of a message; also the grid on which records stand */

/*
 * Bounded ring of messages in flash, with write-once units. A receipt is an appended record, never a bit cleared in place.
 * Two instances on a node: alerts and events (kept until receipted), telemetry (kept until handed to the broker).
 * A full ring drops its oldest sector's unreceipted messages and counts them; one sector is always spare, so that the drop is
 * one write and never a half-erased sector. Bits on flash and the reasons: docs/SPEC.md.
 */
typedef struct whir_spool {
    whir_flash_t *flash;
    uint32_t base;                     /* sector-aligned address */
    uint32_t sectors;                  /* at least 3 */
    uint32_t boot;                     /* the one that writes */
    uint32_t head;                     /* number of the newest sector; numbers count up for ever from 1, 0 = empty ring */
    uint32_t tail;                     /* number of the oldest sector that counts */
    uint32_t offset;                   /* of the next record in the head */
    uint32_t seen_number, seen_offset; /* everything before this place has its receipt: where a search begins */
    uint32_t pending;                  /* messages neither receipted nor dropped */
    uint32_t dropped;                  /* since mount */
} whir_spool_t;

/* A message as it comes out. */
typedef struct whir_spool_item {
    uint32_t boot, seq;
    uint8_t topic; /* index in the port's topic list, opaque here */
    uint16_t bytes;
    uint32_t address; /* of the payload; hand it back to whir_spool_next */
} whir_spool_item_t;

/*
 * Finds head and tail after any power cut; a blank or foreign range is an empty ring. `boot` counts up with every start that
 * may follow a cut (whir_slots_state_t.boot, committed before): what an earlier boot may have begun to write is never
 * programmed again, even where it reads as blank. Reads each record of the ring once. 0 or WHIR_ERR_….
 */
int whir_spool_mount(whir_spool_t *s, whir_flash_t *flash, uint32_t base, uint32_t sectors, uint32_t boot);
/* 0 once it is safe on flash; WHIR_ERR_SPACE for more than fits a sector. May erase one sector. */
int whir_spool_append(whir_spool_t *s, uint8_t topic, uint32_t boot, uint32_t seq, const void *payload, uint16_t bytes);
/* Oldest message without a receipt after `after` (NULL = from the oldest). 1 = found, 0 = none; WHIR_ERR_SPACE when the
 * payload is longer than payload_max (item->bytes says how long). */
int whir_spool_next(whir_spool_t *s, const whir_spool_item_t *after, whir_spool_item_t *item, void *payload,
                    uint16_t payload_max);
/* Marks (boot, seq) as delivered; 1 when it was pending, 0 when unknown (a repeated receipt is no error). May erase one
 * sector. A cut inside may bring the message back: it is then sent twice. */
int whir_spool_receipt(whir_spool_t *s, uint32_t boot, uint32_t seq);

#endif
