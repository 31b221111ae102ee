#ifndef WHIR_PORT_BOARD_H
#define WHIR_PORT_BOARD_H

#include <stdint.h>

#include "whir/port/crypto.h"

/*
 * What the factory's station asks of a board (whir/factory.h). Texts outlive the board; the functions are called from the
 * task that calls whir_factory_ask and whir_factory_step.
 */
typedef struct whir_board {
    void *ctx;
    const char *serial;           /* as on the label */
    const char *mac;              /* 24:0a:c4:00:00:01 */
    const char *part;             /* that the sensor's identity register shows; NULL: none */
    const char *flash_encryption; /* none, development or release */
    uint8_t secure_boot;
    const char *refused; /* why it runs no node, NULL: it does */
    /* "ok" with *rssi_dbm once it has joined and has an address; before that what stands against it, or NULL. */
    const char *(*wifi)(struct whir_board *board, int32_t *rssi_dbm);
    /* "ok" once TLS stands and commands are subscribed to; before that what stands against it, or NULL. */
    const char *(*broker)(struct whir_board *board);
    /* The board's own P-256 key, made when there is none yet and kept: its public point. 0, or a negative code. May block. */
    int (*key)(struct whir_board *board, uint8_t point[WHIR_POINT_BYTES]);
    /* ECDSA with that key over the SHA-256 of the message; r then s, 32 bytes each, big-endian. May block. */
    int (*sign)(struct whir_board *board, const void *message, uint32_t bytes, uint8_t signature[64]);
    /* Time since any moment, and the CPU's cycle counter; NULL: it has none. */
    uint64_t (*micros)(struct whir_board *board);
    uint32_t (*cycles)(struct whir_board *board);
    /* One line to the station, on a line of its own. */
    void (*say)(struct whir_board *board, const char *json, uint32_t bytes);
} whir_board_t;

#endif
