#include "whir/network.h"

#include <string.h>

#include "whir/backoff.h"

/* 1: try now. */
static int dial(whir_dial_t *d, int allowed, int stands, int failed, uint32_t random, uint64_t now_ms)
{
    if (stands) {
        d->trying = 1;
        d->failures = 0;
        return 0;
    }
    if (d->trying && failed) {
        d->trying = 0;
        d->next_ms = now_ms + whir_backoff_ms(++d->failures, random);
    }
    if (d->trying || !allowed || now_ms < d->next_ms) {
        return 0;
    }
    d->trying = 1;
    return 1;
}

static unsigned switch_radio(whir_network_t *n, const whir_network_seen_t *seen)
{
    if (seen->wanted == n->radio || (!seen->wanted && seen->connected)) {
        return 0;
    }
    n->radio = seen->wanted;
    memset(&n->wifi, 0, sizeof n->wifi);
    return n->radio ? WHIR_NETWORK_RADIO_ON : WHIR_NETWORK_RADIO_OFF;
}

static unsigned leave(whir_network_t *n, const whir_network_seen_t *seen)
{
    uint8_t was = n->leaving;

    n->leaving = !seen->wanted && seen->connected;
    return n->leaving && !was ? WHIR_NETWORK_LEAVE : 0u;
}

uint8_t whir_network_step(whir_network_t *n, const whir_network_seen_t *seen, uint32_t random, uint64_t now_ms)
{
    unsigned todo = switch_radio(n, seen) | leave(n, seen);

    todo |= dial(&n->wifi, n->radio, seen->joined, seen->parted, random, now_ms) ? WHIR_NETWORK_JOIN : 0u;
    todo |= dial(&n->broker, seen->wanted && seen->joined, seen->connected, seen->broken, random, now_ms) ? WHIR_NETWORK_CONNECT
                                                                                                          : 0u;
    return (uint8_t)todo;
}
