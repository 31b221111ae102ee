#ifndef WHIR_PORT_FLASH_H
#define WHIR_PORT_FLASH_H

#include <stdint.h>

/*
 * Flash seam. Called by the core from one task only; every call may block (an erase takes tens to hundreds of ms).
 * No word is programmed twice between erases: encrypted partitions allow nothing else. An operation is one call.
 * All functions return 0, or a negative WHIR_ERR_… code; the vendor's own code is kept in `vendor_error`.
 */
typedef struct whir_flash {
    void *ctx;
    uint32_t size;        /* bytes */
    uint32_t sector_size; /* bytes, the unit of erase; a power of two */
    uint32_t write_size;  /* bytes, the unit of programming: 1, 4, 16 or 32 */
    int32_t vendor_error; /* last code of the driver underneath, 0 when none */

    int (*read)(struct whir_flash *flash, uint32_t address, void *buffer, uint32_t bytes);
    /* address and bytes are multiples of write_size; bytes <= WHIR_FLASH_WRITE_CALL_MAX_BYTES; within one sector */
    int (*write)(struct whir_flash *flash, uint32_t address, const void *buffer, uint32_t bytes);
    /* erases the one sector at `address` (sector-aligned) to ones */
    int (*erase)(struct whir_flash *flash, uint32_t address);
    /* memory-mapped view, valid until the next erase of that range; NULL when out of range */
    const uint8_t *(*map)(struct whir_flash *flash, uint32_t address, uint32_t bytes);
} whir_flash_t;

#endif
