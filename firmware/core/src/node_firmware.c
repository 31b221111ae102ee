#include <string.h>

#include "node_parts.h"
#include "whir/bytes.h"

static void tell(whir_node_t *node, uint8_t kind, int code, const char *text, uint64_t now_ms)
{
    whir_event_t event = {.kind = kind, .code = code, .text = text, .action = node->action};

    whir_node_tell_event(node, &event, now_ms);
}

static uint32_t version_crc(const char *version)
{
    return whir_crc32(0, version, (uint32_t)strlen(version));
}

/* --- fetched --- */

static int refuse(whir_node_t *node, int code, uint64_t now_ms)
{
    node->updating = 0;
    node->ports.firmware->abort(node->ports.firmware);
    tell(node, WHIR_EVENT_KIND_FIRMWARE_REFUSED, code, node->package.version[0] != 0 ? node->package.version : NULL, now_ms);
    return code;
}

int whir_node_firmware_start(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    int err;

    if (node->ports.firmware == NULL || node->ports.control == NULL) {
        return WHIR_ERR_STATE;
    }
    if (node->updating || node->slots.state.trial || node->slots.state.firmware_trial) {
        return WHIR_ERR_BUSY;
    }
    if (command->bytes <= sizeof node->package_header) {
        return WHIR_ERR_FIRMWARE_HEADER;
    }
    err = node->ports.link->fetch(node->ports.link, command->text, command->bytes);
    if (err < 0) {
        return err;
    }
    node->updating = WHIR_NODE_UPDATING_FIRMWARE;
    node->package_bytes = command->bytes;
    node->package_received = 0;
    memset(&node->package, 0, sizeof node->package);
    node->deadline_s = command->deadline_s != 0 ? command->deadline_s : WHIR_BUNDLE_TRIAL_DEADLINE_MS_DEFAULT / 1000;
    memcpy(node->action, command->id, sizeof node->action);
    tell(node, WHIR_EVENT_KIND_FIRMWARE_STARTED, 0, NULL, now_ms);
    return 0;
}

/* Before anything is erased. */
static int open_package(whir_node_t *node)
{
    whir_firmware_slots_t *slots = node->ports.firmware;
    const whir_firmware_policy_t policy = {
        .hardware_class = node->config.hardware_class,
        .running = node->config.firmware_version,
        .security_counter_min = node->slots.state.firmware_counter,
        .extractor_version = node->serving ? node->bundle.params.extractor_version : 0,
        .slot_bytes = slots->slot_bytes,
    };
    int err = whir_firmware_open(&node->package, node->package_header, node->ports.crypto, &policy);

    if (err == 0 && node->package.image_bytes != node->package_bytes - sizeof node->package_header) {
        err = WHIR_ERR_FIRMWARE_HEADER;
    }
    err = err < 0 ? err : slots->begin(slots, node->package.image_bytes);
    return err < 0 ? err : node->ports.crypto->sha256_init(node->ports.crypto);
}

int whir_node_firmware_data(whir_node_t *node, const uint8_t *data, uint32_t bytes, uint64_t now_ms)
{
    uint32_t room = sizeof node->package_header - node->package_received;
    int err = 0;

    if (bytes > node->package_bytes - node->package_received) {
        return refuse(node, WHIR_ERR_DOWNLOAD, now_ms);
    }
    if (node->package_received < sizeof node->package_header) {
        uint32_t now = bytes < room ? bytes : room;
        memcpy(node->package_header + node->package_received, data, now);
        data += now;
        bytes -= now;
        if (now == room) {
            err = open_package(node);
        }
        node->package_received += err < 0 ? 0 : now;
    }
    if (err == 0 && bytes != 0) {
        err = node->ports.crypto->sha256_update(node->ports.crypto, data, bytes);
        err = err < 0 ? err : node->ports.firmware->write(node->ports.firmware, data, bytes);
        node->package_received += bytes;
    }
    return err < 0 ? refuse(node, err, now_ms) : 0;
}

/* The state is stored first: after a cut the next start knows what it was about to try. */
static int install(whir_node_t *node)
{
    whir_slots_state_t *state = &node->slots.state, before = *state;
    uint8_t digest[32];
    int err = node->package_received == node->package_bytes ? 0 : WHIR_ERR_DOWNLOAD;

    err = err < 0 ? err : node->ports.crypto->sha256_final(node->ports.crypto, digest);
    if (err < 0 || memcmp(digest, node->package.image_sha256, sizeof digest) != 0) {
        return err < 0 ? err : WHIR_ERR_FIRMWARE_IMAGE;
    }
    state->firmware_trial = 1;
    state->firmware_next = node->package.security_counter;
    state->firmware_deadline_s = node->deadline_s;
    state->firmware_version = version_crc(node->package.version);
    memcpy(state->action, node->action, sizeof state->action);
    err = whir_slots_commit(&node->slots);
    if (err < 0) {
        *state = before;
        return err;
    }
    err = node->ports.firmware->end(node->ports.firmware);
    if (err < 0) {
        *state = before;
        (void)whir_slots_commit(&node->slots); /* else the next start says that it went back, which is true */
    }
    return err;
}

int whir_node_firmware_end(whir_node_t *node, int error, uint64_t now_ms)
{
    int err = error < 0 ? WHIR_ERR_DOWNLOAD : install(node);

    if (err < 0) {
        return refuse(node, err, now_ms);
    }
    node->updating = 0;
    whir_node_restart_ask(node, 0, now_ms);
    return 0;
}

/* --- on trial --- */

static int proof_golden(const whir_node_t *node)
{
    return node->firmware_proven;
}

/* The latest verdict stands on good samples; a machine that is off, or turns at an unknown speed, is no fault of the sensor. */
static int proof_sensor(const whir_node_t *node)
{
    return node->verdicts > 0 && !node->fault && (node->verdict.quality & ~(WHIR_QUALITY_OFF | WHIR_QUALITY_NO_SPEED)) == 0;
}

static int proof_report(const whir_node_t *node)
{
    return node->connected && node->firmware_heard;
}

/* All of these within the deadline, or back. Golden vectors give the same bytes for ever: there is nothing to wait for. */
static const struct proof {
    const char *name;
    int (*met)(const whir_node_t *node);
    uint8_t waits;
} PROOFS[] = {
    {"golden vectors", proof_golden, 0},
    {"sensor", proof_sensor, 1},
    {"acknowledged report", proof_report, 1},
};

static const struct proof *unmet(const whir_node_t *node)
{
    for (unsigned i = 0; i < sizeof PROOFS / sizeof PROOFS[0]; i++) {
        if (!PROOFS[i].met(node)) {
            return &PROOFS[i];
        }
    }
    return NULL;
}

/* Kept before it is stored: a cut in between is found by the version at the next start. */
static void confirm(whir_node_t *node, uint64_t now_ms)
{
    whir_slots_state_t *state = &node->slots.state;

    if (node->firmware_trial && node->ports.firmware->keep(node->ports.firmware) < 0) {
        return; /* again with the next step; the deadline decides */
    }
    node->firmware_trial = 0;
    state->firmware_trial = 0;
    state->firmware_counter = state->firmware_counter > state->firmware_next ? state->firmware_counter : state->firmware_next;
    (void)whir_slots_commit(&node->slots); /* else the next start confirms it once more */
    node->status_due = 1;
    tell(node, WHIR_EVENT_KIND_FIRMWARE_CONFIRMED, 0, NULL, now_ms);
}

static void go_back(whir_node_t *node, const char *missing, uint64_t now_ms)
{
    node->firmware_trial = 0;
    node->slots.state.firmware_trial = 0;
    (void)whir_slots_commit(&node->slots); /* else it is told twice */
    tell(node, WHIR_EVENT_KIND_FIRMWARE_REVERTED, WHIR_ERR_FIRMWARE_UNPROVEN, missing, now_ms);
    (void)whir_node_stop(node, now_ms);
    node->ports.firmware->go_back(node->ports.firmware);
}

static void begin_trial(whir_node_t *node, uint64_t now_ms)
{
    whir_slots_state_t *state = &node->slots.state;
    whir_golden_mismatch_t mismatch;
    uint32_t deadline_s =
        state->firmware_deadline_s != 0 ? state->firmware_deadline_s : WHIR_BUNDLE_TRIAL_DEADLINE_MS_DEFAULT / 1000;

    state->firmware_trial = 1; /* also when somebody else has put the image there */
    node->firmware_trial = 1;
    node->firmware_deadline_ms = now_ms + (uint64_t)deadline_s * 1000;
    node->firmware_proven = node->serving && whir_node_prove(node, &mismatch) >= 0;
    node->firmware_seq = node->seq;
    tell(node, WHIR_EVENT_KIND_FIRMWARE_TRIAL, 0, NULL, now_ms);
}

void whir_node_firmware_boot(whir_node_t *node, uint64_t now_ms)
{
    whir_slots_state_t *state = &node->slots.state;

    if (node->ports.firmware == NULL) {
        return;
    }
    if (node->ports.firmware->is_trial(node->ports.firmware)) {
        begin_trial(node, now_ms);
    } else if (state->firmware_trial && state->firmware_version == version_crc(node->config.firmware_version)) {
        confirm(node, now_ms);
    } else if (state->firmware_trial) {
        state->firmware_trial = 0;
        (void)whir_slots_commit(&node->slots); /* else it is told twice */
        tell(node, WHIR_EVENT_KIND_FIRMWARE_REVERTED, WHIR_ERR_FIRMWARE_UNPROVEN, "restarted on trial", now_ms);
    }
}

void whir_node_firmware_step(whir_node_t *node, uint64_t now_ms)
{
    const struct proof *missing;

    if (!node->firmware_trial) {
        return;
    }
    missing = unmet(node);
    if (missing == NULL) {
        confirm(node, now_ms);
    } else if (!missing->waits || now_ms >= node->firmware_deadline_ms) {
        go_back(node, missing->name, now_ms);
    }
}

void whir_node_firmware_receipt(whir_node_t *node, uint32_t seq)
{
    node->firmware_heard |= node->firmware_trial && seq == node->firmware_seq;
}
