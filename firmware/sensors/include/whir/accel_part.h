#ifndef WHIR_ACCEL_PART_H
#define WHIR_ACCEL_PART_H

#include <stdint.h>

#include "whir/bus.h"

/*
 * What a data sheet says of an accelerometer. A part is one constant of this type in a file of its own in src/; accel.c is the
 * only code. Arrays end with an entry of zeros.
 */

/* One register to write: all of it (mask 0xFF) or some bits, then a pause. */
typedef struct whir_accel_step {
    uint8_t reg, mask, value;
    uint8_t wait_ms;
} whir_accel_step_t;

typedef struct whir_accel_identity {
    uint8_t reg, value;
} whir_accel_identity_t;

/* One output rate: nominal rate and -3 dB bandwidth, and what selects it. */
typedef struct whir_accel_rate {
    uint32_t rate_mhz, bandwidth_hz;
    uint8_t value;
} whir_accel_rate_t;

/* One range: full scale, size of a count after `shift`, and what selects it. */
typedef struct whir_accel_range {
    uint32_t range_mg, lsb_nano;
    uint8_t value;
} whir_accel_range_t;

/* How the FIFO is read. Its level is in `level_bytes` at level_reg. */
typedef struct whir_accel_fifo {
    uint8_t level_reg, level_bytes, level_big_endian;
    uint16_t level_mask;
    uint8_t level_unit;                /* what the level counts: so many of it are one sample */
    uint8_t overrun_reg, overrun_mask; /* set when samples were overwritten */
    uint8_t data_reg;
    uint8_t burst;         /* samples that one transfer may take */
    uint8_t word_bytes;    /* one sample in the FIFO */
    uint8_t first;         /* where the axes begin in it */
    uint8_t tag_mask, tag; /* of the word's first byte, when it is a sample; the mask 0: every word is */
    uint8_t axis_bytes, big_endian;
    uint8_t shift; /* to the right, from the word to the count */
    uint16_t samples, watermark;
} whir_accel_fifo_t;

/* Temperature: two bytes at reg, (raw - zero_raw) * centi_per_1000 / 1000 + zero_cdeg hundredths of a degree. */
typedef struct whir_accel_temperature {
    uint8_t reg, big_endian, is_unsigned;
    int16_t zero_raw;
    int32_t centi_per_1000;
    int16_t zero_cdeg;
} whir_accel_temperature_t;

/* Self-test: what switches it on and off, and how far each axis then moves, in mg, at the range `range_mg`. */
typedef struct whir_accel_self_test {
    const whir_accel_step_t *on, *off;
    uint32_t range_mg;
    uint16_t min_mg[3], max_mg[3];
} whir_accel_self_test_t;

typedef struct whir_accel_part {
    const char *name;
    uint8_t buses;               /* WHIR_BUS_… that it has */
    uint8_t spi_read, spi_multi; /* bits of the address byte over SPI: a read, several bytes */
    uint8_t spi_shift;           /* the address stands so many bits to the left */
    uint8_t i2c_multi;           /* the same over I2C */
    const whir_accel_identity_t *identity;
    const whir_accel_step_t *reset, *start;
    const whir_accel_step_t *restart; /* empties the FIFO and lets it run again */
    /* After `reset`: it stands by, and raises INT1 at motion until it is reset. NULL: it cannot, or takes as much as running.
     */
    const whir_accel_step_t *watch;
    uint8_t rate_reg, rate_mask;
    uint8_t batch_reg; /* the FIFO has a rate of its own, here: the upper half of the rate's value. 0: it has not */
    const whir_accel_rate_t *rates; /* from slow to fast */
    uint8_t range_reg, range_mask;
    const whir_accel_range_t *ranges; /* from small to large */
    uint32_t noise_ug_rthz;
    whir_accel_fifo_t fifo;
    const whir_accel_temperature_t *temperature; /* NULL: none, or not in degrees */
    whir_accel_self_test_t self_test;
} whir_accel_part_t;

/* The part of that name, or NULL. */
const whir_accel_part_t *whir_accel_find(const char *name);
/* All parts, to the entry NULL. */
extern const whir_accel_part_t *const whir_accel_parts[];

#endif
