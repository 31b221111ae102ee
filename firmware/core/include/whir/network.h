#ifndef WHIR_NETWORK_H
#define WHIR_NETWORK_H

#include <stdint.h>

/*
 * When a board's radio is on, when it tries to join and when to connect. After a failure comes a pause (whir/backoff.h),
 * Wi-Fi's and the broker's apart. The node takes its leave of the broker before the radio goes, so that its silence is no loss.
 */
typedef struct whir_dial {
    uint8_t trying; /* an attempt is under way, or what it gave still stands */
    uint32_t failures;
    uint64_t next_ms;
} whir_dial_t;

typedef struct whir_network {
    whir_dial_t wifi, broker;
    uint8_t radio, leaving;
} whir_network_t;

/* `wanted`: the node wants the radio (whir_node_use); the others as in whir/port/wiring.h. */
typedef struct whir_network_seen {
    uint8_t wanted, joined, parted, connected, broken;
} whir_network_seen_t;

#define WHIR_NETWORK_RADIO_ON 1
#define WHIR_NETWORK_JOIN 2
#define WHIR_NETWORK_CONNECT 4 /* with a last will of its own */
#define WHIR_NETWORK_LEAVE 8   /* disconnect in order */
#define WHIR_NETWORK_RADIO_OFF 16

/* What to do now, in the order of the bits. Begins as zeros, with the radio off; `random` spreads the pauses. */
uint8_t whir_network_step(whir_network_t *n, const whir_network_seen_t *seen, uint32_t random, uint64_t now_ms);

#endif
