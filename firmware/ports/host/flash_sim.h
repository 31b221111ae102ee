#ifndef WHIR_FLASH_SIM_H
#define WHIR_FLASH_SIM_H

#include <stdint.h>

#include "whir/port/flash.h"

/*
 * Flash simulator behind the production seam. An erase sets ones; a write unit may be programmed once between erases, and a
 * second program, even of ones, is an error that stays: WHIR_ERR_FLASH_WORN from then on. Erase time is counted, not waited.
 *
 * Power may be cut in any operation (one write or erase call). A cut write leaves a seeded prefix of whole units; the unit
 * behind it is untouched, or half programmed: it then reads as blank, as some of its zeros, or as garbage, and counts as
 * programmed in each case. A cut erase leaves a seeded mixture of old, erased and garbage units, none of which may be
 * programmed before the next erase. After the cut every call fails until flash_sim_reboot.
 */
typedef struct flash_sim {
    whir_flash_t seam;   /* first: the seam's functions get back to the simulator through it */
    uint8_t *data;       /* seam.size bytes */
    uint8_t *programmed; /* seam.size / seam.write_size flags */
    uint32_t erase_ms;   /* one sector */
    uint64_t erased_ms;  /* spent so far */
    uint64_t operations; /* done or cut so far */
    uint64_t cut_at;     /* cut in this operation, 0 = never */
    uint32_t cut_bytes;  /* whole bytes of the cut write that got through */
    uint32_t random;
    uint8_t off;  /* the power is cut */
    uint8_t worn; /* a unit was programmed twice */
} flash_sim_t;

/* `data` and `programmed` are the caller's and keep their contents: a flash that was used before. */
void flash_sim_init(flash_sim_t *sim, uint8_t *data, uint8_t *programmed, uint32_t size, uint32_t sector_size,
                    uint32_t write_size, uint32_t erase_ms);
/* All erased, as it leaves the factory. */
void flash_sim_blank(flash_sim_t *sim);
/* All programmed, with seeded garbage: nothing may count on a blank flash. */
void flash_sim_soil(flash_sim_t *sim, uint32_t seed);
/* Cuts the power in the `operation`-th operation from now (1 = the next); 0 = never. */
void flash_sim_cut(flash_sim_t *sim, uint64_t operation, uint32_t seed);
/* Power is back; no cut is planned. What is worn stays worn. */
void flash_sim_reboot(flash_sim_t *sim);
/* `to` becomes the same flash in the same state, in its own memory of the same geometry. */
void flash_sim_copy(flash_sim_t *to, const flash_sim_t *from);

#endif
