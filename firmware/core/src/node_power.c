#include <stddef.h>
#include <string.h>

#include "node_parts.h"
#include "whir/bytes.h"

#define MEMORY_MAGIC 0x4D454D57u /* "WMEM" */

/* An alert that builds up or dies away wants every sample; one that stands does not. */
static int alert_moves(const whir_node_t *node)
{
    for (int i = 0; i < WHIR_DECIDE_ALERTS; i++) {
        if (node->decide.alert[i].state == WHIR_ALERT_STATE_PENDING) {
            return 1;
        }
    }
    return 0;
}

static int must_stay(const whir_node_t *node, uint64_t now_ms)
{
    return (!node->woken && now_ms - node->begun_ms < WHIR_POWER_AFTER_BOOT_MS) || node->updating || node->restart != 0 ||
           node->slots.state.trial || node->firmware_trial || node->config.trial == WHIR_TRIAL_RUNNING ||
           node->learn.wanted != 0 || node->capture.recording >= 0 || (node->connected && node->sending >= 0) ||
           alert_moves(node);
}

/* A verdict on as many windows as it is given, or one that says why there is none. */
static int is_measured(const whir_node_t *node)
{
    const whir_verdict_t *verdict = &node->verdict;

    return node->verdicts != node->listen_verdicts &&
           (verdict->windows == node->mean.windows_max || (verdict->quality & (WHIR_QUALITY_OFF | WHIR_QUALITY_NO_SPEED)) != 0);
}

/* Commands are sent once the fleet has had the status. */
static int has_untold(const whir_node_t *node, uint64_t now_ms)
{
    return !node->connected || node->alerts.pending != 0 || node->telemetry.pending != 0 || node->telemetry_due ||
           now_ms - node->connected_ms < WHIR_POWER_COMMANDS_MS;
}

static void listen_begin(whir_node_t *node, uint64_t now_ms)
{
    whir_node_gap(node);
    whir_decide_rest(&node->decide, now_ms);
    node->listen_verdicts = node->verdicts;
    node->received = 0;
    node->slow = 0;
    node->slow_since_ms = now_ms;
    node->bad = 0;
}

void whir_node_power_step(whir_node_t *node, uint64_t now_ms)
{
    const whir_power_need_t need = {(uint8_t)must_stay(node, now_ms), (uint8_t)is_measured(node),
                                    (uint8_t)has_untold(node, now_ms)};
    uint8_t before = node->power.phase;
    uint8_t phase = (uint8_t)whir_power_step(&node->power, &need, now_ms);

    if (phase == before) {
        return;
    }
    if (before == WHIR_POWER_REST || before == WHIR_POWER_TELL) { /* the sensor is on again */
        listen_begin(node, now_ms);
    }
    if (phase == WHIR_POWER_LISTEN) {
        node->listen_verdicts = node->verdicts;
    } else if (before == WHIR_POWER_LISTEN) {
        node->telemetry_due = 1;
    }
}

int whir_node_listens(const whir_node_t *node)
{
    return node->power.phase == WHIR_POWER_AWAKE || node->power.phase == WHIR_POWER_LISTEN;
}

/* For a machine that stands and may start: one that runs would wake it for ever. A start by motion after which the machine
 * still stands is followed by a sleep for the whole interval, so that neither do passers-by. */
static int watches(const whir_node_t *node)
{
    return node->power.mode == WHIR_POWER_MODE_MOTION && node->config.sensor.watches && !node->config.by_motion &&
           (node->verdict.quality & WHIR_QUALITY_OFF) != 0;
}

void whir_node_use(const whir_node_t *node, whir_node_use_t *use, uint64_t now_ms)
{
    const whir_power_t *power = &node->power;

    use->sensor = (uint8_t)whir_node_listens(node);
    use->radio = power->phase == WHIR_POWER_AWAKE || power->phase == WHIR_POWER_TELL;
    use->sleep_ms = power->phase == WHIR_POWER_REST && power->mode >= WHIR_POWER_MODE_SLEEP && power->next_ms > now_ms
                        ? (uint32_t)(power->next_ms - now_ms)
                        : 0;
    use->motion = (uint8_t)(use->sleep_ms > 0 && watches(node));
}

static uint32_t memory_crc(const whir_node_memory_t *memory)
{
    return whir_crc32(0, memory, offsetof(whir_node_memory_t, crc));
}

void whir_node_sleep(const whir_node_t *node, whir_node_memory_t *memory)
{
    memset(memory, 0, sizeof *memory);
    memory->magic = MEMORY_MAGIC;
    memory->boot = node->slots.state.boot;
    memory->seq = node->seq;
    memory->conn = node->conn;
    memory->lost = node->lost;
    memory->told_dropped = node->told_dropped;
    memory->captures = node->capture.number;
    memory->captures_dropped = node->capture.dropped;
    memory->unix_at_boot_ms = node->unix_at_boot_ms;
    memory->synced = node->synced;
    memory->daily = node->daily;
    memory->daily_ms = node->daily_ms;
    memory->power = node->power;
    memcpy(memory->occurrence, node->occurrence, sizeof memory->occurrence);
    memory->decide = node->decide;
    memory->crc = memory_crc(memory);
}

int whir_node_remembers(const whir_node_memory_t *memory, uint32_t boot)
{
    return memory != NULL && memory->magic == MEMORY_MAGIC && memory->boot == boot && memory->crc == memory_crc(memory);
}

void whir_node_wake(whir_node_t *node, const whir_node_memory_t *memory, uint64_t now_ms)
{
    node->seq = memory->seq;
    node->conn = memory->conn;
    node->lost = memory->lost;
    node->told_dropped = memory->told_dropped;
    node->capture.number = memory->captures;
    node->capture.dropped = memory->captures_dropped;
    node->unix_at_boot_ms = memory->unix_at_boot_ms;
    node->synced = memory->synced;
    node->daily = memory->daily;
    node->daily_ms = memory->daily_ms;
    node->receipted = 1;
    node->power = memory->power;
    node->power.phase = WHIR_POWER_LISTEN;
    node->power.since_ms = now_ms;
    node->power.next_ms = now_ms + node->power.every_ms;
    memcpy(node->occurrence, memory->occurrence, sizeof node->occurrence);
    node->decide = memory->decide;
    listen_begin(node, now_ms);
    whir_node_show_severity(node);
}
