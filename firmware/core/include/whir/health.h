#ifndef WHIR_HEALTH_H
#define WHIR_HEALTH_H

#include <stdint.h>

#define WHIR_HEALTH_UNKNOWN UINT32_MAX

/* What a board knows of itself and tells with each status; what it does not know is WHIR_HEALTH_UNKNOWN, or NULL. */
typedef struct whir_health {
    uint32_t heap_min;  /* least free heap since boot, bytes */
    uint32_t stack_min; /* least that any task's stack has had free, bytes */
    const char *stack_task;
    uint32_t overruns; /* of the sensor's FIFO, since boot */
    uint32_t reopens;  /* of the sensor, since boot */
} whir_health_t;

#endif
