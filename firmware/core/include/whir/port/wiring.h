#ifndef WHIR_PORT_WIRING_H
#define WHIR_PORT_WIRING_H

#include <stdint.h>

#include "whir/node.h"

/* Bytes of a fetch (link->fetch), handed over one at a time. */
typedef struct whir_piece {
    const uint8_t *data;
    uint32_t bytes; /* 0: the end */
    int error;      /* of the end */
} whir_piece_t;

/*
 * What a board does for the loop of its node (whir/loop.h), which calls all of it from the node's task; nothing here may
 * block. The four flags are the port's to set, from any task.
 */
typedef struct whir_wiring {
    void *ctx;
    volatile uint8_t joined, parted;    /* it has an address; the last attempt to join has failed, or what it gave is lost */
    volatile uint8_t connected, broken; /* commands are subscribed to; the last connection has failed, or is lost */
    uint8_t birth; /* set by the loop before it connects: show the factory's certificate, not the operational one */
    void (*radio)(struct whir_wiring *w, int on);
    /* Begins to join: parted is 0 until it fails. */
    void (*join)(struct whir_wiring *w);
    /* Begins to connect, with this last will: broken is 0 until it fails. */
    void (*connect)(struct whir_wiring *w, const char *will, uint32_t bytes);
    /* Takes leave of the broker in order. */
    void (*leave)(struct whir_wiring *w);
    /* The next command; 0 bytes: there is none. */
    uint32_t (*command)(struct whir_wiring *w, void *payload, uint32_t bytes_max);
    /* ms since 1970 when the wall clock was set since the last call, else 0. */
    uint64_t (*clock_set)(struct whir_wiring *w);
    /* The piece that waits, until it is answered; NULL: none. */
    const whir_piece_t *(*piece)(struct whir_wiring *w);
    void (*answer)(struct whir_wiring *w, int result);
    /* Samples are wanted or not; 1: the sensor stands by, or there is none. */
    int (*sensor)(struct whir_wiring *w, int wanted);
    /* Everything but whir_node_sleep's memory off for so long, or until the sensor tells motion; does not return. */
    void (*sleep)(struct whir_wiring *w, const whir_node_t *node, uint32_t ms, int motion);
    uint32_t (*random)(struct whir_wiring *w);
} whir_wiring_t;

#endif
