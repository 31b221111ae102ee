#ifndef WHIR_PORT_CONTROL_H
#define WHIR_PORT_CONTROL_H

#include <stdint.h>

#include "whir/health.h"

/* What the fleet may ask of the board itself. None of these may block. */
typedef struct whir_control {
    void *ctx;
    /* Restart now; the node has said what it had to. With forget_settings without them; the identity stays. */
    void (*restart)(struct whir_control *control, int forget_settings);
    /* Show which board this is, for so long: blink. */
    void (*identify)(struct whir_control *control, uint32_t seconds);
    /* NULL: it knows nothing of it. */
    void (*health)(struct whir_control *control, whir_health_t *health);
} whir_control_t;

#endif
