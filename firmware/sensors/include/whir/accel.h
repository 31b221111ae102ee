#ifndef WHIR_ACCEL_H
#define WHIR_ACCEL_H

#include <stdint.h>

#include "whir/accel_part.h"
#include "whir/bus.h"
#include "whir/port/sensor.h"

/* Samples that the driver takes from the FIFO in one transfer. */
#define WHIR_ACCEL_BURST 32
#define WHIR_ACCEL_WORD_BYTES_MAX 9

/* How the sensor is used on this machine. */
typedef struct whir_accel_settings {
    uint32_t rate_mhz;     /* at least so fast; 0 = as fast as it goes */
    uint32_t bandwidth_hz; /* it must hear so high; 0 = whatever it does */
    uint32_t range_mg;     /* at least so far */
    int8_t axes[3];        /* the machine's x, y, z are which of the sensor's 1, 2, 3; negative = turned round */
} whir_accel_settings_t;

typedef struct whir_accel {
    const whir_accel_part_t *part;
    whir_bus_t *bus;
    whir_accel_settings_t settings;
    const whir_accel_rate_t *rate;
    const whir_accel_range_t *range;

    uint32_t measured_mhz; /* true rate, 0 = not known yet */
    uint8_t measuring;
    uint64_t since_us; /* of the measurement */
    uint32_t counted;  /* samples since then */
    uint64_t fresh_us; /* when the FIFO last gave a sample */
    uint8_t heard;     /* fresh_us and last are valid */
    int16_t last[3];   /* sample */
    uint32_t repeated; /* so often */
} whir_accel_t;

/*
 * A sensor behind a bus. One task calls everything here; it blocks for the bus's transfers only, and in open and self_test for
 * the pauses of the data sheet. Errors: WHIR_ERR_SENSOR_….
 */
/* Is it the part, can it do what is asked; then resets it, sets it up, reads the settings back and starts it. Any failure may
 * be answered with another call, but for _RATE and _RANGE (it cannot do what is asked) and _ARG (axes that are none, a bus that
 * it has not): then a->part is NULL, and nothing else may be called. */
int whir_accel_open(whir_accel_t *a, const whir_accel_part_t *part, whir_bus_t *bus, const whir_accel_settings_t *settings);
/*
 * What is in the FIFO, at most `max` samples of three counts, turned to the machine's axes. The number, which may be 0, or
 * _OVERRUN: samples were lost, the FIFO starts again; _SILENT: nothing new for eight times the watermark: open it again;
 * _STUCK: one value for WHIR_ACCEL_STUCK_SAMPLES; _BUS. `now_us` is the CPU's clock, against which the rate is measured.
 */
int whir_accel_read(whir_accel_t *a, int16_t *samples, uint32_t max, uint64_t now_us);
/* Reads until the true rate is measured, which takes two seconds; 0, or _SILENT after three. `now_us` is the CPU's clock. */
int whir_accel_settle(whir_accel_t *a, uint64_t (*now_us)(void *ctx), void *ctx);
/* Standing by, where it takes least; open it again. */
int whir_accel_stop(whir_accel_t *a);
/* Standing by, and its interrupt goes up at motion, some 60 mg on any axis, and stays; open it again. WHIR_ERR_STATE: it
 * cannot, see part->watch. */
int whir_accel_watch(whir_accel_t *a);
/* "+x-z+y" (the machine's x, y, z are the sensor's x, minus z, y) as settings. 0, or _ARG and axes that open refuses. */
int whir_accel_axes(const char *text, int8_t axes[3]);
/* Time that the FIFO takes to its watermark and until it overruns, in us. */
uint32_t whir_accel_watermark_us(const whir_accel_t *a);
uint32_t whir_accel_overrun_us(const whir_accel_t *a);
/* What the core wants to know; the rate is the measured one where it is known. */
void whir_accel_info(const whir_accel_t *a, whir_sensor_info_t *info);
/* Hundredths of a degree; WHIR_ERR_STATE when the part does not tell. */
int whir_accel_temperature(whir_accel_t *a, int16_t *cdeg);
/* Moves the sensor by itself and measures how far, in mg; leaves it running with its settings. _SELF_TEST. The machine stands.
 */
int whir_accel_self_test(whir_accel_t *a, int16_t moved_mg[3]);
/* Gravity as it is measured now points along machine axis `up` (1 to 3, negative: against it) within 30 degrees. _MOUNTING when
 * not; mean_mg is what was measured. The machine stands. */
int whir_accel_mounting(whir_accel_t *a, int8_t up, int16_t mean_mg[3]);

#define WHIR_ACCEL_STUCK_SAMPLES 1024

#endif
