#ifndef WHIR_LOOP_H
#define WHIR_LOOP_H

#include "whir/factory.h"
#include "whir/network.h"
#include "whir/port/wiring.h"

/* All that the task of a node does, over the board's wiring. Without a node it serves the factory's questions only. */
typedef struct whir_loop {
    whir_node_t *node; /* NULL: the board runs none */
    whir_factory_t *factory;
    whir_wiring_t *wiring;
    whir_network_t network;
    uint8_t connected; /* as the node was told */
    char will[WHIR_MESSAGE_MESSAGE_MAX_BYTES];
    uint8_t command[WHIR_MESSAGE_COMMAND_MAX_BYTES];
} whir_loop_t;

void whir_loop_init(whir_loop_t *l, whir_node_t *node, whir_factory_t *factory, whir_wiring_t *wiring);
/* Samples as they came from the sensor, three counts each; `gap`: others were lost before them. */
void whir_loop_push(whir_loop_t *l, const int16_t *samples, uint32_t count, int gap, uint64_t now_ms);
/* One turn; call it at least every 50 ms. */
void whir_loop_step(whir_loop_t *l, uint64_t now_ms);

#endif
