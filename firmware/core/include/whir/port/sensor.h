#ifndef WHIR_PORT_SENSOR_H
#define WHIR_PORT_SENSOR_H

#include <stdint.h>

/*
 * What the core knows of a sensor. Samples are pushed into the core (whir_node_push) by the port, because a FIFO drains in
 * bursts; losses are told with whir_node_gap. Samples are int16, sample-major: x0 y0 z0 x1 …
 */
typedef struct whir_sensor_info {
    const char *name;       /* e.g. "lsm6dsox", "replay" */
    uint32_t rate_mhz;      /* measured output rate, mHz, not the data sheet's */
    uint32_t bandwidth_hz;  /* -3 dB */
    uint32_t range_milli;   /* full scale, thousandths of unit */
    uint32_t noise_ug_rthz; /* noise density, millionths of unit per root hertz */
    uint32_t lsb_nano;      /* one count, in 1e-9 unit */
    uint8_t unit;           /* WHIR_UNIT_… */
    uint8_t channels;       /* 1 to 3 */
    uint8_t watches;        /* while all else sleeps it tells motion, and the board wakes at it */
} whir_sensor_info_t;

#endif
