#ifndef WHIR_HOST_FLASH_H
#define WHIR_HOST_FLASH_H

#include <stdint.h>

/* The flash simulator in memory, or in a file that keeps data and programmed units from one process to the next. */
typedef struct host_flash host_flash_t;

/*
 * path NULL = in memory, erased. A missing file is made, erased; a file of another geometry, or one that another process has
 * open, is refused. NULL and errno when it fails (EINVAL: geometry, EBUSY: in use).
 */
host_flash_t *host_flash_open(const char *path, uint32_t size, uint32_t sector_size, uint32_t write_size, uint32_t erase_ms);
void host_flash_close(host_flash_t *flash);

/* Cuts the power in the `operation`-th operation from now (1 = the next), 0 = never; see flash_sim.h for what is left behind.
 */
void host_flash_cut(host_flash_t *flash, uint64_t operation, uint32_t seed);
/* 1 after the cut: every call fails until host_flash_reboot. */
int host_flash_is_off(const host_flash_t *flash);
void host_flash_reboot(host_flash_t *flash);
/* 1 when a unit was programmed twice between erases: an error in the core. */
int host_flash_is_worn(const host_flash_t *flash);
/* Writes and erases so far, the cut one included. */
uint64_t host_flash_operations(const host_flash_t *flash);
/* Whole bytes of the cut write that got through; 0 for a cut erase. */
uint32_t host_flash_cut_bytes(const host_flash_t *flash);
/* Simulated time spent erasing, ms. */
uint64_t host_flash_erased_ms(const host_flash_t *flash);

#endif
