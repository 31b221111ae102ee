#ifndef WHIR_PORT_OUTPUT_H
#define WHIR_PORT_OUTPUT_H

#include <stdint.h>

/* Local alarm (LED, relay, buzzer), which works without any network. Called on each change; must not block. */
typedef struct whir_output {
    void *ctx;
    void (*set)(struct whir_output *output, uint8_t severity /* WHIR_SEVERITY_… */);
} whir_output_t;

#endif
