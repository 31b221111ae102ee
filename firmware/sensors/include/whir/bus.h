#ifndef WHIR_BUS_H
#define WHIR_BUS_H

#include <stdint.h>

#define WHIR_BUS_SPI 1
#define WHIR_BUS_I2C 2

/* Bus seam: one sensor on SPI (its chip select) or I2C (its address). Called from one task; may block for the transfer. */
typedef struct whir_bus {
    void *ctx;
    uint8_t kind;         /* WHIR_BUS_SPI or WHIR_BUS_I2C */
    int32_t vendor_error; /* last code of the driver underneath, 0 when none */
    /* Sends `out`, then receives `in` in the same transaction (chip select held, or repeated start); in_bytes may be 0.
     * 0, or WHIR_ERR_SENSOR_BUS. */
    int (*transfer)(struct whir_bus *bus, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes);
    void (*wait_ms)(struct whir_bus *bus, uint32_t ms); /* at least so long */
} whir_bus_t;

#endif
