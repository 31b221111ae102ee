#ifndef WHIR_SLOTS_H
#define WHIR_SLOTS_H

#include <stdint.h>

#include "whir/contract.h"
#include "whir/port/flash.h"

#define WHIR_SLOT_NONE 0xFF

/*
 * What must survive a power cut: which model slot is in service, whether it is on trial, the security counter, the boot
 * counter. Appended records in two sectors that take turns; the newest record with a good CRC counts. The record carries a
 * version. What reads as blank is never taken for unprogrammed: the first commit after a mount goes to the other sector,
 * freshly erased.
 */
typedef struct whir_slots_state {
    uint8_t active;      /* 0 = a, 1 = b, WHIR_SLOT_NONE */
    uint8_t previous;    /* the confirmed one to go back to, or WHIR_SLOT_NONE */
    uint8_t trial;       /* 1 while `active` is not confirmed */
    uint8_t trial_boots; /* boots while on trial */
    uint32_t security_counter;
    uint16_t raise_permille, clear_permille;            /* in place of the bundle's; 0 and 0: the bundle's */
    uint32_t boot;                                      /* cold boots */
    uint16_t brownouts, crashes;                        /* boots after one */
    uint32_t firmware_counter;                          /* the floor: of the packages confirmed so far */
    uint8_t firmware_trial;                             /* a package is to be started, or runs unconfirmed: */
    uint32_t firmware_next, firmware_deadline_s;        /* its counter, its time */
    uint32_t firmware_version;                          /* CRC-32 of its version */
    char action[WHIR_MESSAGE_COMMAND_ID_MAX_BYTES + 1]; /* command that caused the trial */
} whir_slots_state_t;

typedef struct whir_slots {
    whir_flash_t *flash;
    uint32_t base;     /* two sectors */
    uint32_t sector;   /* 0 or 1: holds the newest record */
    uint32_t offset;   /* of the next record in it; sector_size = it may not be written again before an erase */
    uint32_t sequence; /* of the newest record, 0 = none */
    whir_slots_state_t state;
} whir_slots_t;

/* Reads the newest state; a blank or foreign range gives the initial state. */
int whir_slots_mount(whir_slots_t *s, whir_flash_t *flash, uint32_t base);
/* Stores s->state; returns 0 once it is safe: after a cut inside, mount gives the old state or this one. */
int whir_slots_commit(whir_slots_t *s);

#endif
