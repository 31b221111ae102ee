#ifndef WHIR_CAPTURE_SLOT_H
#define WHIR_CAPTURE_SLOT_H

#include "whir/capture.h"

/*
 * A slot on flash: its first sector holds three records, each written once, the others the samples. `ready`: erased whole, by
 * the boot named in it. `begun`: the header of its chunks as far as it is known. `done`: how many samples there are. Only all
 * three make a capture.
 */
#define SLOT_READY_AT 0u
#define SLOT_BEGUN_AT 32u
#define SLOT_DONE_AT 160u
#define SLOT_CELL_BYTES 32u
#define SLOT_BEGUN_BYTES 128u
#define SLOT_READY_MAGIC 0x59444552u /* "REDY" */
#define SLOT_DONE_MAGIC 0x454E4F44u  /* "DONE" */

uint32_t whir_capture_slot_at(const whir_capture_t *c, int slot);
/* What the slot holds after a boot: fills slots[slot]. 0, or the flash's error. */
int whir_capture_slot_mount(whir_capture_t *c, int slot);
/* A cell of 32 bytes: magic, value, CRC-32. */
int whir_capture_cell_write(const whir_capture_t *c, uint32_t address, uint32_t magic, uint32_t value);
int whir_capture_begun_write(const whir_capture_t *c, int slot, const whir_capture_cause_t *cause, uint32_t pre);
/* 1 = there, 0 = not, or the flash's error. */
int whir_capture_begun_read(const whir_capture_t *c, int slot, uint8_t record[SLOT_BEGUN_BYTES]);

#endif
