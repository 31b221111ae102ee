#include <string.h>

#include "node_parts.h"

#define IDENTIFY_S 30
#define RESTART_AFTER_MS 1000

static void answer(whir_node_t *node, const whir_command_t *command, uint8_t result, int code, uint64_t now_ms)
{
    whir_stamp_t stamp = whir_node_stamp(node, now_ms);

    /* An answer that cannot be sent is not kept: the command comes again after the next status. */
    (void)whir_node_publish(node, WHIR_TOPIC_ACK,
                            whir_message_ack(&stamp, command, result, code, node->message, sizeof node->message), 0);
}

static void remember(whir_node_t *node, const whir_command_t *command, uint8_t result, int code)
{
    whir_node_answer_t *a = &node->answers[node->next_answer];

    memcpy(a->id, command->id, sizeof a->id);
    a->result = result;
    a->code = (int16_t)code;
    node->next_answer = (uint8_t)((node->next_answer + 1) % WHIR_NODE_ANSWERS);
}

static const whir_node_answer_t *answered(const whir_node_t *node, const char *id)
{
    for (int i = 0; i < WHIR_NODE_ANSWERS; i++) {
        if (strcmp(node->answers[i].id, id) == 0) {
            return &node->answers[i];
        }
    }
    return NULL;
}

static void on_receipt(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    uint8_t confirms = 0;

    node->resend_doublings = 0;
    node->receipted |= command->boot == node->slots.state.boot && command->seq_count > 0;
    for (uint32_t i = 0; i < command->seq_count; i++) {
        (void)whir_spool_receipt(&node->alerts, command->boot, command->seq[i]); /* when that fails it is sent again */
        if (node->trial_told && command->boot == node->slots.state.boot && command->seq[i] == node->trial_seq) {
            confirms = 1;
        }
    }
    for (uint32_t i = 0; i < command->seq_count && command->boot == node->slots.state.boot; i++) {
        whir_node_capture_receipt(node, command->seq[i]);
        whir_node_firmware_receipt(node, command->seq[i]);
    }
    if (confirms) {
        whir_node_trial_receipt(node, now_ms);
    }
}

static int is_expired(const whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    /* A node that does not know the time cannot judge, and obeys. */
    return node->synced && (node->unix_at_boot_ms + now_ms) / 1000 > command->exp_s;
}

static int set_thresholds(whir_node_t *node, const whir_command_t *command)
{
    uint32_t raise = command->raise_permille, clear = command->clear_permille;

    if (raise > 1000 || clear > raise || (raise == 0) != (clear == 0)) {
        return WHIR_ERR_COMMAND;
    }
    node->slots.state.raise_permille = (uint16_t)raise;
    node->slots.state.clear_permille = (uint16_t)clear;
    if (node->serving) {
        whir_node_thresholds_apply(node);
    }
    return whir_slots_commit(&node->slots);
}

/* What the board does itself. A restart waits until the answer is out. */
static int ask_board(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    whir_control_t *control = node->ports.control;

    if (control == NULL) {
        return WHIR_ERR_STATE;
    }
    if (command->kind == WHIR_COMMAND_KIND_IDENTIFY) {
        control->identify(control, command->seconds != 0 ? command->seconds : IDENTIFY_S);
    } else {
        whir_node_restart_ask(node, command->kind == WHIR_COMMAND_KIND_FACTORY_RESET, now_ms);
    }
    return 0;
}

void whir_node_restart_ask(whir_node_t *node, int forget_settings, uint64_t now_ms)
{
    node->restart = forget_settings ? 2 : 1;
    node->restart_ms = now_ms + RESTART_AFTER_MS;
}

void whir_node_restart_step(whir_node_t *node, uint64_t now_ms)
{
    if (node->restart != 0 && now_ms >= node->restart_ms) {
        int forget = node->restart == 2;
        node->restart = 0;
        (void)whir_node_stop(node, now_ms);
        node->ports.control->restart(node->ports.control, forget);
    }
}

/* Does it; 0 or the reason, and in *result what is answered. */
static int execute(whir_node_t *node, const whir_command_t *command, uint64_t now_ms, uint8_t *result)
{
    /* What changed the slots last was this very command, before a restart: its outcome stands. */
    int done = strcmp(command->id, node->slots.state.action) == 0;
    int err = 0;

    *result = command->kind == WHIR_COMMAND_KIND_UPDATE ? WHIR_ACK_RESULT_ACCEPTED : WHIR_ACK_RESULT_OK;
    switch (command->kind) {
    case WHIR_COMMAND_KIND_UPDATE:
        err = done ? 0 : whir_node_update_start(node, command, now_ms);
        break;
    case WHIR_COMMAND_KIND_FIRMWARE:
        *result = WHIR_ACK_RESULT_ACCEPTED;
        err = done ? 0 : whir_node_firmware_start(node, command, now_ms);
        break;
    case WHIR_COMMAND_KIND_SETTING:
        err = whir_node_setting(node, command, now_ms);
        break;
    case WHIR_COMMAND_KIND_RENEW:
        *result = WHIR_ACK_RESULT_ACCEPTED;
        err = whir_node_renew(node, command, now_ms);
        break;
    case WHIR_COMMAND_KIND_ROLLBACK:
        err = done ? 0 : whir_node_rollback(node, command, now_ms);
        break;
    case WHIR_COMMAND_KIND_COMMISSION:
        *result = WHIR_ACK_RESULT_ACCEPTED;
        err = whir_node_commission(node, command);
        break;
    case WHIR_COMMAND_KIND_CAPTURE:
        *result = WHIR_ACK_RESULT_ACCEPTED;
        err = whir_node_capture_command(node, command, now_ms);
        break;
    case WHIR_COMMAND_KIND_THRESHOLDS:
        err = set_thresholds(node, command);
        break;
    case WHIR_COMMAND_KIND_IDENTIFY:
    case WHIR_COMMAND_KIND_RESTART:
    case WHIR_COMMAND_KIND_FACTORY_RESET:
        err = ask_board(node, command, now_ms);
        break;
    default: /* measure */
        node->status_due = 1;
        node->telemetry_due = 1;
        break;
    }
    if (err < 0) {
        *result = WHIR_ACK_RESULT_REFUSED;
    }
    return err;
}

int whir_node_command(whir_node_t *node, const void *payload, uint32_t bytes, uint64_t now_ms)
{
    whir_command_t command;
    const whir_node_answer_t *before;
    uint8_t result;
    int err = whir_command_parse(&command, payload, bytes);

    node->now_ms = now_ms;
    if (err < 0) {
        if (strcmp(command.c, WHIR_COMMAND_RECEIPT) != 0) {
            answer(node, &command, WHIR_ACK_RESULT_REFUSED, err, now_ms);
        }
        return err;
    }
    if (command.kind == WHIR_COMMAND_KIND_RECEIPT) {
        on_receipt(node, &command, now_ms);
        return 0;
    }
    before = answered(node, command.id);
    if (before != NULL) {
        answer(node, &command, before->result, before->code, now_ms);
        return before->code;
    }
    if (is_expired(node, &command, now_ms)) {
        err = WHIR_ERR_EXPIRED;
        result = WHIR_ACK_RESULT_EXPIRED;
    } else {
        err = execute(node, &command, now_ms, &result);
    }
    if (err != WHIR_ERR_BUSY) { /* busy may be over the next time */
        remember(node, &command, result, err);
    }
    answer(node, &command, result, err, now_ms);
    return err;
}
