#ifndef WHIR_CAPTURE_H
#define WHIR_CAPTURE_H

#include <stdint.h>

#include "whir/contract.h"
#include "whir/port/flash.h"
#include "whir/port/sensor.h"

/*
 * Captures: the sensor's own stream as it came, from before the trigger on. RAM holds the last second in a ring; a recording
 * goes from there to a slot on flash that was erased beforehand, in writes alone, so that it costs no sample. A slot holds one
 * capture until it is delivered. Bits on flash: docs/SPEC.md.
 */
#define WHIR_CAPTURE_SLOTS_MAX 2
#define WHIR_CAPTURE_NO_OCCURRENCE 0xFFFFFFFFu

/* Why, and when. */
typedef struct whir_capture_cause {
    uint8_t trigger; /* WHIR_CAPTURE_TRIGGER_… */
    uint8_t synced;
    uint64_t ts;
    uint32_t occurrence; /* seq of the raise, or WHIR_CAPTURE_NO_OCCURRENCE */
    const char *action;  /* id of the command, or NULL */
} whir_capture_cause_t;

typedef enum { WHIR_CAPTURE_DIRTY, WHIR_CAPTURE_READY, WHIR_CAPTURE_RECORDING, WHIR_CAPTURE_FULL } whir_capture_state_t;

typedef struct whir_capture_slot {
    uint8_t state;
    uint8_t channels;
    uint8_t erase_next, erase_end; /* dirty: sectors still to be erased */
    uint32_t boot, number;         /* full: which capture; the oldest is sent first */
    uint32_t samples;              /* full */
} whir_capture_slot_t;

typedef struct whir_capture {
    whir_flash_t *flash;
    whir_sensor_info_t sensor;
    uint32_t base;
    uint32_t slot_bytes;
    uint8_t slot_count;
    whir_capture_slot_t slots[WHIR_CAPTURE_SLOTS_MAX];
    uint32_t boot;
    uint32_t number;  /* of the next capture of this boot */
    uint32_t dropped; /* since boot */

    int16_t *ring;
    uint32_t ring_words, head; /* where the next word goes */
    uint32_t held;             /* words without a gap, up to ring_words */
    uint32_t pre_max;          /* samples before a trigger */

    int8_t recording;   /* slot, or -1 */
    uint32_t from;      /* in the ring: the next word to be written */
    uint32_t unwritten; /* words in the ring that belong to the recording */
    uint32_t left;      /* words still to come */
    uint32_t written;   /* bytes on flash */
    uint8_t since_write;
} whir_capture_t;

/* Bytes of RAM that hold what lies before a trigger at this sensor's rate: a second, at most half of a capture. */
uint32_t whir_capture_ring_bytes(const whir_sensor_info_t *sensor);
/* Sectors of one slot. */
uint32_t whir_capture_slot_sectors(uint32_t sector_size);
/*
 * Finds what an earlier boot has left; a recording that was cut off counts as dropped. A shorter ring than asked shortens what
 * lies before the trigger. No ring or no slot: none can be taken. 0, or the flash's error.
 */
int whir_capture_mount(whir_capture_t *c, whir_flash_t *flash, uint32_t base, uint8_t slots, const whir_sensor_info_t *sensor,
                       int16_t *ring, uint32_t ring_bytes, uint32_t boot);
/* Each sample of the sensor. While recording it writes at times, 256 bytes at most. */
void whir_capture_push(whir_capture_t *c, const int16_t *sample);
/* Samples were lost: nothing goes on beyond them, a recording ends here with what it has. */
void whir_capture_gap(whir_capture_t *c);
/* 0: recording. WHIR_ERR_BUSY: one is being recorded, WHIR_ERR_STATE: no slot is free; neither counts it. Or the flash's error.
 */
int whir_capture_start(whir_capture_t *c, const whir_capture_cause_t *cause);
/* Erases one sector where a slot needs it. */
void whir_capture_step(whir_capture_t *c);
/* Slot of the oldest whole capture, or -1. */
int whir_capture_oldest(const whir_capture_t *c);
/* Chunks of a full slot. */
uint32_t whir_capture_chunks(const whir_capture_t *c, int slot);
/* One of them as a message: its length, WHIR_ERR_SPACE, or the flash's error. */
int whir_capture_chunk(const whir_capture_t *c, int slot, uint32_t chunk, uint32_t boot, uint32_t seq, uint8_t *out,
                       uint32_t max);
/* The slot is free again, after it has been erased. */
void whir_capture_release(whir_capture_t *c, int slot);

#endif
