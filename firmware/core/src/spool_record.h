#ifndef WHIR_SPOOL_RECORD_H
#define WHIR_SPOOL_RECORD_H

#include <stdint.h>

#include "whir/spool.h"

/*
 * Records of the spool as they stand on flash: 32 bytes on a grid of 32, a message's payload behind them. Bits: docs/SPEC.md.
 */
typedef enum { SPOOL_SECTOR = 1, SPOOL_MESSAGE = 2, SPOOL_RECEIPT = 3 } spool_type_t;

typedef struct spool_record {
    uint8_t type;
    uint8_t topic;
    uint16_t bytes;  /* of a message's payload */
    uint32_t boot;   /* of the message; in a sector header the number of sectors in the ring */
    uint32_t seq;    /* of the message; in a sector header the format version */
    uint32_t writer; /* the boot that wrote the record */
    uint32_t number; /* of the sector it stands in */
    uint32_t detail; /* message: CRC-32 of the payload; receipt: number of the message's sector */
} spool_record_t;

/* A place in the ring: sector number and offset in it. */
typedef struct spool_place {
    uint32_t number, offset;
} spool_place_t;

/* Whole grid cells of a record with `bytes` of payload. */
uint32_t whir_spool_record_extent(uint32_t bytes);
uint32_t whir_spool_address(const whir_spool_t *s, spool_place_t place);

/* The header of the sector at position `index`: 1 = one of this ring, 0 = anything else, or the flash's error. */
int whir_spool_sector_read(const whir_spool_t *s, uint32_t index, spool_record_t *record);
/* Opens sector `number` (erased): one operation. */
int whir_spool_sector_write(const whir_spool_t *s, uint32_t number);
/* 1 = a record that belongs to this place, 0 = anything else, or the flash's error. */
int whir_spool_record_read(const whir_spool_t *s, spool_place_t place, spool_record_t *record);
/* One operation. */
int whir_spool_record_write(const whir_spool_t *s, spool_place_t place, const spool_record_t *record);
/* The next message or receipt at or behind `place`, which moves to it; 1 found, 0 none up to the head's end. The record
 * after it: place->offset += whir_spool_record_extent(…). */
int whir_spool_record_find(const whir_spool_t *s, spool_place_t *place, spool_record_t *record);

/* Operations of at most 256 bytes. */
int whir_spool_payload_write(const whir_spool_t *s, spool_place_t place, const uint8_t *payload, uint32_t bytes);
/* 1 = the payload is whole, 0 = it was cut short. */
int whir_spool_payload_check(const whir_spool_t *s, spool_place_t place, const spool_record_t *record);

#endif
