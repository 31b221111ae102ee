#ifndef WHIR_BASELINE_H
#define WHIR_BASELINE_H

#include <stdint.h>

#include "whir/port/flash.h"

/*
 * The machine's frozen baseline on flash, read in place. Two sectors take turns: a new one goes into the sector that does not
 * hold the newest, freshly erased, and counts once its CRC is right. A cut leaves the old one or the new one.
 */
typedef struct whir_baseline_facts {
    uint32_t extraction; /* whir_params_extraction of the features; other features have no baseline */
    uint16_t count;      /* of features; 0 = velocity only */
    uint16_t limit_q8;   /* distance that is novel */
    uint32_t windows;    /* it was learned from */
    uint16_t velocity_hz;
    uint32_t velocity_um_s; /* mean; 0 = not measured */
} whir_baseline_facts_t;

typedef struct whir_baseline {
    whir_flash_t *flash;
    uint32_t base;          /* two sectors */
    uint32_t sector;        /* that holds the newest, 0 or 1 */
    uint32_t sequence;      /* of the newest; 0 = there is none */
    const uint8_t *entries; /* facts.count of WHIR_NOVELTY_ENTRY_BYTES, mapped */
    whir_baseline_facts_t facts;
} whir_baseline_t;

/* Finds the newest. 0, also when there is none; or the flash's error. */
int whir_baseline_mount(whir_baseline_t *b, whir_flash_t *flash, uint32_t base);
/* Erases and writes one sector, which blocks for as long as an erase does. 0: it is the newest; WHIR_ERR_SPACE: more than a
 * sector; or the flash's error: the one before still counts. */
int whir_baseline_store(whir_baseline_t *b, const whir_baseline_facts_t *facts, const uint8_t *entries);

#endif
