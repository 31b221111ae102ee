#include <string.h>

#include "node_parts.h"

/* Begins one; what cannot be begun is told by the code. The node's own messages may be in node->message meanwhile. */
static int start(whir_node_t *node, uint8_t trigger, uint32_t occurrence, const char *action, uint64_t now_ms)
{
    whir_stamp_t stamp = whir_node_stamp(node, now_ms);
    whir_capture_cause_t cause = {
        .trigger = trigger, .synced = stamp.synced, .ts = stamp.ts, .occurrence = occurrence, .action = action};

    return whir_capture_start(&node->capture, &cause);
}

void whir_node_capture_alert(whir_node_t *node, uint32_t occurrence, uint64_t now_ms)
{
    int err = start(node, WHIR_CAPTURE_TRIGGER_ALERT, occurrence, NULL, now_ms);

    if (err < 0 && err != WHIR_ERR_BUSY && node->capture.slot_count > 0) { /* busy: this moment is being recorded already */
        node->capture.dropped++;
    }
}

int whir_node_capture_command(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    return start(node, WHIR_CAPTURE_TRIGGER_COMMAND, WHIR_CAPTURE_NO_OCCURRENCE, command->id, now_ms);
}

/* Once a day while the machine runs; while no slot is free it comes later. */
static void daily_step(whir_node_t *node, uint64_t now_ms)
{
    uint32_t after_ms = node->daily ? WHIR_CAPTURE_INTERVAL_MS : WHIR_CAPTURE_FIRST_AFTER_MS;

    if (now_ms - node->daily_ms >= after_ms && whir_node_state(node) == WHIR_NODE_STATE_OK && node->verdict.quality == 0 &&
        start(node, WHIR_CAPTURE_TRIGGER_DAILY, WHIR_CAPTURE_NO_OCCURRENCE, NULL, now_ms) == 0) {
        node->daily = 1;
        node->daily_ms = now_ms;
    }
}

static void done(whir_node_t *node)
{
    whir_capture_release(&node->capture, node->sending);
    node->sending = -1;
}

/* All chunks are out: their receipt ends it. Without one all is sent again, and given up in the end. */
static void await_receipt(whir_node_t *node, uint64_t now_ms)
{
    if (now_ms - node->chunk_ms < (uint64_t)WHIR_CAPTURE_RESEND_AFTER_MS << (node->sends - 1)) {
        return;
    }
    if (node->sends < WHIR_CAPTURE_SENDS_MAX) {
        node->chunk = 0;
        return;
    }
    node->capture.dropped++;
    done(node);
}

static void send_step(whir_node_t *node, uint64_t now_ms)
{
    uint32_t chunks;
    int bytes;

    if (node->sending < 0) {
        node->sending = (int8_t)whir_capture_oldest(&node->capture);
        node->chunk = 0;
        node->sends = 0;
    }
    if (node->sending < 0 || !node->connected) {
        return;
    }
    chunks = whir_capture_chunks(&node->capture, node->sending);
    if (node->chunk == chunks) {
        await_receipt(node, now_ms);
        return;
    }
    if (now_ms - node->chunk_ms < WHIR_CAPTURE_SEND_INTERVAL_MS) {
        return;
    }
    bytes = whir_capture_chunk(&node->capture, node->sending, node->chunk, node->slots.state.boot, node->seq,
                               (uint8_t *)node->message, sizeof node->message);
    if (bytes < 0) { /* the flash does not give it back */
        node->capture.dropped++;
        done(node);
        return;
    }
    node->chunk_seq = node->seq;
    if (whir_node_publish(node, WHIR_TOPIC_CAPTURE, bytes, 0) == 0) {
        node->chunk_ms = now_ms;
        node->chunk++;
        node->sends = (uint8_t)(node->sends + (node->chunk == chunks && node->sends < WHIR_CAPTURE_SENDS_MAX));
    }
}

void whir_node_capture_receipt(whir_node_t *node, uint32_t seq)
{
    if (node->sending >= 0 && node->chunk == whir_capture_chunks(&node->capture, node->sending) && seq == node->chunk_seq) {
        done(node);
    }
}

void whir_node_capture_connected(whir_node_t *node)
{
    node->chunk = 0; /* a clean session: what was under way is forgotten */
}

void whir_node_capture_step(whir_node_t *node, uint64_t now_ms)
{
    if (node->capture.slot_count == 0) {
        return;
    }
    daily_step(node, now_ms);
    whir_capture_step(&node->capture);
    send_step(node, now_ms);
}
