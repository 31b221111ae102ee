#include <string.h>

#include "node_parts.h"

#define SEND_BURST 4           /* kept messages per step */
#define DRAIN_INTERVAL_MS 100  /* between two spooled telemetry messages */
#define RESEND_DOUBLINGS_MAX 4 /* while nobody answers, resends grow rarer, up to 16 times the interval */
#define STATE_INTERVAL_MS 1000 /* a state that flutters is told at most so often */

/* How a topic stands in a spool's records; the numbers are on flash. */
enum { TOPIC_ALERT = 1, TOPIC_EVENT = 2, TOPIC_TELEMETRY = 3 };

static const char *topic_name(uint8_t topic)
{
    switch (topic) {
    case TOPIC_ALERT:
        return WHIR_TOPIC_ALERT;
    case TOPIC_EVENT:
        return WHIR_TOPIC_EVENT;
    default:
        return WHIR_TOPIC_TELEMETRY;
    }
}

static uint32_t seconds(uint32_t ms)
{
    return (ms + 999) / 1000;
}

whir_stamp_t whir_node_stamp(const whir_node_t *node, uint64_t now_ms)
{
    whir_stamp_t stamp = {node->slots.state.boot, node->seq, now_ms, node->synced};

    if (node->synced) {
        stamp.ts += node->unix_at_boot_ms;
    }
    return stamp;
}

whir_service_t whir_node_service(const whir_node_t *node)
{
    whir_service_t service = {node->serving ? &node->bundle : NULL, node->slots.state.active, node->slots.state.trial};

    return service;
}

uint8_t whir_node_state(const whir_node_t *node)
{
    if (!node->serving || (node->verdict.quality & WHIR_QUALITY_NO_MODEL) != 0) {
        return WHIR_NODE_STATE_NO_MODEL;
    }
    if (node->fault) {
        return WHIR_NODE_STATE_SENSOR_FAULT;
    }
    if ((node->verdict.quality & WHIR_QUALITY_NO_SPEED) != 0) {
        return WHIR_NODE_STATE_NO_SPEED;
    }
    return (node->verdict.quality & WHIR_QUALITY_OFF) != 0 ? WHIR_NODE_STATE_MACHINE_OFF : WHIR_NODE_STATE_OK;
}

/* The message in node->message goes out now or not at all; its seq is used up only when it does. */
int whir_node_publish(whir_node_t *node, const char *topic, int bytes, int retained)
{
    int err = bytes;

    if (bytes >= 0) {
        err = node->connected ? node->ports.link->publish(node->ports.link, topic, node->message, (uint32_t)bytes, retained)
                              : WHIR_ERR_BUSY;
    }
    if (err == 0) {
        node->seq++;
    }
    return err;
}

/* The message in node->message is stored; where the flash fails it is at least sent once. */
static void keep(whir_node_t *node, whir_spool_t *spool, uint8_t topic, int bytes)
{
    if (bytes >= 0 && whir_spool_append(spool, topic, node->slots.state.boot, node->seq, node->message, (uint16_t)bytes) == 0) {
        node->seq++;
    } else if (whir_node_publish(node, topic_name(topic), bytes, 0) < 0) {
        node->seq++; /* the hole in the sequence shows the loss */
        node->lost++;
    }
}

void whir_node_tell_event(whir_node_t *node, const whir_event_t *event, uint64_t now_ms)
{
    whir_stamp_t stamp = whir_node_stamp(node, now_ms);
    whir_service_t service = whir_node_service(node);
    whir_event_t whole = *event;

    whole.firmware = node->config.firmware_version;
    keep(node, &node->alerts, TOPIC_EVENT, whir_message_event(&stamp, &whole, &service, node->message, sizeof node->message));
}

void whir_node_tell_alert(whir_node_t *node, const whir_decision_t *decision, const char *class_name, uint16_t permille,
                          uint8_t quality, uint64_t now_ms)
{
    whir_stamp_t stamp = whir_node_stamp(node, now_ms);
    whir_service_t service = whir_node_service(node);
    whir_alert_message_t alert = {
        .site = node->config.site,
        .node = node->config.name,
        .occurrence_boot = node->slots.state.boot,
        .occurrence_seq = node->occurrence[decision->class_index],
        .decision = *decision,
        .class_name = class_name,
        .permille = permille,
        .quality = quality,
        .verdict = &node->verdict,
    };

    keep(node, &node->alerts, TOPIC_ALERT, whir_message_alert(&stamp, &alert, &service, node->message, sizeof node->message));
}

static uint32_t dropped(const whir_node_t *node)
{
    return node->alerts.dropped + node->telemetry.dropped + node->lost;
}

int whir_node_send_status(whir_node_t *node, uint8_t state, uint32_t next_s, uint64_t now_ms)
{
    whir_stamp_t stamp = whir_node_stamp(node, now_ms);
    whir_service_t service = whir_node_service(node);
    whir_status_t status = {
        .site = node->config.site,
        .node = node->config.name,
        .firmware = node->config.firmware_version,
        .hardware = node->config.hardware_class,
        .engine = node->ports.engine->name,
        .sensor = node->config.sensor.name,
        .reset = node->config.reset_reason,
        .conn = node->conn,
        .state = state,
        .next_s = next_s,
        .rate_mhz = node->config.sensor.rate_mhz,
        .dropped = dropped(node),
        .captures_dropped = node->capture.dropped,
        .firmware_counter = node->slots.state.firmware_counter,
        .firmware_trial = node->firmware_trial,
        .settings = node->settings,
        .power = node->config.power_mode,
        .brownouts = node->slots.state.brownouts,
        .crashes = node->slots.state.crashes,
        .certificate = node->certificate_end_s == 0 ? NULL
                       : node->config.operational   ? "operational"
                                                    : "birth",
        .certificate_end_s = node->certificate_end_s,
        .health = {WHIR_HEALTH_UNKNOWN, WHIR_HEALTH_UNKNOWN, NULL, WHIR_HEALTH_UNKNOWN, WHIR_HEALTH_UNKNOWN},
    };
    whir_control_t *control = node->ports.control;

    if (control != NULL && control->health != NULL) {
        control->health(control, &status.health);
    }

    return whir_node_publish(node, WHIR_TOPIC_STATUS,
                             whir_message_status(&stamp, &status, &service, node->message, sizeof node->message), 1);
}

static void status_step(whir_node_t *node, uint64_t now_ms)
{
    uint8_t state = whir_node_state(node);
    uint64_t since_ms = now_ms - node->status_ms;

    if (!node->connected || !(node->status_due || since_ms >= node->config.status_interval_ms ||
                              (state != node->told_state && since_ms >= STATE_INTERVAL_MS))) {
        return;
    }
    if (whir_node_send_status(node, state, seconds(whir_power_silence_ms(&node->power, node->config.status_interval_ms)),
                              now_ms) == 0) {
        node->status_due = 0;
        node->status_ms = now_ms;
        node->told_state = state;
    }
}

/* Alerts and events: all that have no receipt, from the oldest, again after each resend interval, which doubles while no
 * receipt comes: a fleet that is down for a night must not find its broker flooded. */
static void kept_step(whir_node_t *node, uint64_t now_ms)
{
    whir_spool_item_t item;

    if (!node->connected || node->alerts.pending == 0) {
        return;
    }
    if (now_ms - node->pass_ms >= (uint64_t)node->config.resend_interval_ms << node->resend_doublings) {
        node->pass_ms = now_ms;
        node->sent_any = 0;
        node->resend_doublings = (uint8_t)(node->resend_doublings + (node->resend_doublings < RESEND_DOUBLINGS_MAX));
    }
    for (int i = 0; i < SEND_BURST; i++) {
        if (whir_spool_next(&node->alerts, node->sent_any ? &node->sent_last : NULL, &item, node->message,
                            sizeof node->message) != 1 ||
            node->ports.link->publish(node->ports.link, topic_name(item.topic), node->message, item.bytes, 0) < 0) {
            return;
        }
        node->sent_last = item;
        node->sent_any = 1;
    }
}

static void telemetry_step(whir_node_t *node, uint64_t now_ms)
{
    whir_stamp_t stamp = whir_node_stamp(node, now_ms);
    whir_service_t service = whir_node_service(node);
    int bytes;

    if (!node->telemetry_due &&
        (node->power.phase != WHIR_POWER_AWAKE || now_ms - node->telemetry_ms < node->config.telemetry_interval_ms)) {
        return;
    }
    whir_node_grade(node, &node->verdict); /* without a model there is no verdict that brings it */
    bytes = whir_message_telemetry(&stamp, seconds(whir_power_silence_ms(&node->power, node->config.telemetry_interval_ms)),
                                   &node->verdict, &node->tally, &service, node->message, sizeof node->message);
    node->telemetry_due = 0;
    node->telemetry_ms = now_ms;
    memset(&node->tally, 0, sizeof node->tally);
    if (whir_node_publish(node, WHIR_TOPIC_TELEMETRY, bytes, 0) < 0) {
        keep(node, &node->telemetry, TOPIC_TELEMETRY, bytes);
    }
}

/* Telemetry of the time without a link, paced, so that a site that comes back does not flood its broker. */
static void drain_step(whir_node_t *node, uint64_t now_ms)
{
    whir_spool_item_t item;

    if (!node->connected || node->telemetry.pending == 0 || now_ms - node->drain_ms < DRAIN_INTERVAL_MS) {
        return;
    }
    if (whir_spool_next(&node->telemetry, NULL, &item, node->message, sizeof node->message) == 1 &&
        node->ports.link->publish(node->ports.link, WHIR_TOPIC_TELEMETRY, node->message, item.bytes, 0) == 0) {
        (void)whir_spool_receipt(&node->telemetry, item.boot, item.seq); /* when that fails it is sent twice, not lost */
        node->drain_ms = now_ms;
    }
}

/* Once per loss, and only while it can be heard: telling it takes room in the same spool. */
static void dropped_step(whir_node_t *node, uint64_t now_ms)
{
    whir_event_t event = {.kind = WHIR_EVENT_KIND_SPOOL_DROPPED};

    if (node->connected && dropped(node) != node->told_dropped) {
        node->status_due = 1; /* carries the count */
        whir_node_tell_event(node, &event, now_ms);
        node->told_dropped = dropped(node); /* what the telling itself pushed out is not told again */
    }
}

void whir_node_link_step(whir_node_t *node, uint64_t now_ms)
{
    dropped_step(node, now_ms);
    status_step(node, now_ms);
    kept_step(node, now_ms);
    telemetry_step(node, now_ms);
    drain_step(node, now_ms);
}

void whir_node_connected(whir_node_t *node, int connected, uint64_t now_ms)
{
    node->now_ms = now_ms;
    node->connected = connected != 0;
    node->connected_ms = now_ms;
    node->status_due = 1;
    node->sent_any = 0; /* a clean session: the broker has forgotten what was under way */
    node->pass_ms = now_ms;
    node->resend_doublings = 0;
    whir_node_capture_connected(node);
    if (connected) {
        status_step(node, now_ms);
    }
}

int whir_node_will(whir_node_t *node, char *json, uint32_t json_max)
{
    node->conn++;
    return whir_message_will(node->config.site, node->config.name, node->slots.state.boot, node->conn, json, json_max);
}

int whir_node_stop(whir_node_t *node, uint64_t now_ms)
{
    return whir_node_send_status(node, WHIR_NODE_STATE_STOPPED, 0, now_ms);
}
