#include "whir/loop.h"

#include <string.h>

void whir_loop_init(whir_loop_t *l, whir_node_t *node, whir_factory_t *factory, whir_wiring_t *wiring)
{
    memset(l, 0, sizeof *l);
    l->node = node;
    l->factory = factory;
    l->wiring = wiring;
}

void whir_loop_push(whir_loop_t *l, const int16_t *samples, uint32_t count, int gap, uint64_t now_ms)
{
    if (gap) {
        whir_node_gap(l->node);
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)whir_node_push(l->node, samples + 3 * i, now_ms); /* an error is in the node's verdict */
        whir_factory_push(l->factory, samples + 3 * i);
    }
}

static void hear(whir_loop_t *l, uint64_t now_ms)
{
    uint64_t unix_ms = l->wiring->clock_set(l->wiring);
    uint32_t bytes = l->wiring->command(l->wiring, l->command, sizeof l->command);

    if (unix_ms != 0) {
        whir_node_clock(l->node, unix_ms, now_ms);
    }
    if (bytes > 0) {
        (void)whir_node_command(l->node, l->command, bytes, now_ms); /* the answer is sent */
    }
}

static void take_piece(whir_loop_t *l, uint64_t now_ms)
{
    const whir_piece_t *piece = l->wiring->piece(l->wiring);
    int err;

    if (piece == NULL) {
        return;
    }
    err = piece->bytes > 0 ? whir_node_bundle_data(l->node, piece->data, piece->bytes, now_ms)
                           : whir_node_bundle_end(l->node, piece->error, now_ms);
    if (err != WHIR_ERR_BUSY) { /* then the same piece again after the next step */
        l->wiring->answer(l->wiring, err);
    }
}

/* An operational certificate that has ended, or whose CA is gone, must not lock a node out for ever: every fourth attempt shows
 * the factory's. Not while one is tried, which that would seem to prove. */
static uint8_t shows_birth(const whir_loop_t *l)
{
    return l->node->config.trial != WHIR_TRIAL_RUNNING && l->network.broker.failures % 4 == 3;
}

static void reach(whir_loop_t *l, uint8_t wanted, uint64_t now_ms)
{
    whir_wiring_t *w = l->wiring;
    const whir_network_seen_t seen = {wanted, w->joined, w->parted, w->connected, w->broken};
    uint8_t todo;

    if (seen.connected != l->connected) {
        l->connected = seen.connected;
        whir_node_connected(l->node, seen.connected, now_ms);
    }
    todo = whir_network_step(&l->network, &seen, w->random(w), now_ms);
    if ((todo & (WHIR_NETWORK_RADIO_ON | WHIR_NETWORK_RADIO_OFF)) != 0) {
        w->radio(w, (todo & WHIR_NETWORK_RADIO_ON) != 0);
    }
    if ((todo & WHIR_NETWORK_JOIN) != 0) {
        w->join(w);
    }
    if ((todo & WHIR_NETWORK_CONNECT) != 0) {
        int bytes = whir_node_will(l->node, l->will, sizeof l->will);
        w->birth = shows_birth(l);
        w->connect(w, l->will, bytes < 0 ? 0u : (uint32_t)bytes);
    }
    if ((todo & WHIR_NETWORK_LEAVE) != 0) {
        w->leave(w);
    }
}

static void serve(whir_loop_t *l, uint64_t now_ms)
{
    whir_node_use_t use;
    int rests;

    hear(l, now_ms);
    take_piece(l, now_ms);
    whir_node_step(l->node, now_ms);
    whir_node_use(l->node, &use, now_ms);
    rests = l->wiring->sensor(l->wiring, use.sensor);
    reach(l, use.radio, now_ms);
    if (use.sleep_ms > 0 && rests && !l->network.radio) {
        l->wiring->sleep(l->wiring, l->node, use.sleep_ms, use.motion);
    }
}

void whir_loop_step(whir_loop_t *l, uint64_t now_ms)
{
    if (l->node != NULL) {
        serve(l, now_ms);
    }
    (void)whir_factory_step(l->factory, now_ms);
}
