#ifndef WHIR_FORK_FLASH_H
#define WHIR_FORK_FLASH_H

#include <stdint.h>

#include "flash_sim.h"

/*
 * A flash that forks at every operation: before a write or an erase is done, it is cut in a copy of the flash, once for each
 * seed, and the copy is handed to `after_cut` as the node finds it after the reboot. The state is copied forward, nothing is
 * replayed. The copy may be such a flash itself: cuts during recovery.
 */
typedef struct fork_flash {
    whir_flash_t seam; /* first */
    flash_sim_t sim;
    struct fork_flash *below; /* gets the copy; NULL = no cuts */
    void (*after_cut)(struct fork_flash *below, void *context);
    void *context;
    uint32_t seeds;      /* cuts per operation */
    uint64_t operations; /* counted over all copies this flash has been */
    uint64_t cuts;
} fork_flash_t;

/* Chains `depth` flashes of one geometry, flash[0] on top, full of garbage; ends the program when memory is short. */
void fork_flash_make(fork_flash_t *flash, uint32_t depth, uint32_t size, uint32_t sector_size, uint32_t write_size);
void fork_flash_free(fork_flash_t *flash, uint32_t depth);

#endif
