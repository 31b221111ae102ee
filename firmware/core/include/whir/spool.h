#ifndef WHIR_SPOOL_H
#define WHIR_SPOOL_H

#include <stdint.h>

#include "whir/contract.h"
#include "whir/port/flash.h"

/*
 * Bounded ring of messages in flash, with write-once units. A receipt is an appended record, never a bit cleared in place.
 * Two instances on a node: alerts and events (kept until receipted), telemetry (kept until handed to the broker).
 * A full ring drops its oldest sector's unreceipted messages and counts them. Bits on flash: docs/SPEC.md.
 */
typedef struct whir_spool {
    whir_flash_t *flash;
    uint32_t base;    /* sector-aligned address */
    uint32_t sectors; /* at least 3 */
    uint32_t head_sector, head_offset;
    uint32_t tail_sector, tail_offset;
    uint32_t sector_number; /* of the head: counts up for ever */
    uint32_t boot;
    uint32_t pending;       /* messages neither receipted nor dropped */
    uint32_t dropped;       /* since mount */
} whir_spool_t;

/* A message as it comes out. */
typedef struct whir_spool_item {
    uint32_t boot, seq;
    uint8_t topic; /* index in the port's topic list, opaque here */
    uint16_t bytes;
    uint32_t address; /* of the payload; hand it back to whir_spool_next */
} whir_spool_item_t;

/*
 * Finds head and tail after any power cut; a blank or foreign range is an empty ring. `boot` counts up with every start that may
 * follow a cut (whir_slots_state_t.boot, committed before): what an earlier boot may have begun to write is never programmed
 * again, even where it reads as blank. 0 or WHIR_ERR_….
 */
int whir_spool_mount(whir_spool_t *s, whir_flash_t *flash, uint32_t base, uint32_t sectors, uint32_t boot);
/* 0 once it is safe on flash. */
int whir_spool_append(whir_spool_t *s, uint8_t topic, uint32_t boot, uint32_t seq, const void *payload, uint16_t bytes);
/* Oldest message without a receipt after `after` (NULL = from the oldest). 1 = found, 0 = none. */
int whir_spool_next(whir_spool_t *s, const whir_spool_item_t *after, whir_spool_item_t *item, void *payload,
                    uint16_t payload_max);
/* Marks (boot, seq) as delivered; 1 when it was pending, 0 when unknown (a repeated receipt is no error). */
int whir_spool_receipt(whir_spool_t *s, uint32_t boot, uint32_t seq);

#endif
