#include <string.h>

#include "node_parts.h"

static void tell(whir_node_t *node, uint8_t kind, int code, uint64_t now_ms)
{
    whir_event_t event = {.kind = kind, .code = code, .action = node->action};

    if (code == WHIR_ERR_BUNDLE_GOLDEN && kind == WHIR_EVENT_KIND_UPDATE_REFUSED) {
        event.mismatch = &node->update.mismatch;
    }
    whir_node_tell_event(node, &event, now_ms);
}

static void tell_shadow(whir_node_t *node, uint64_t now_ms)
{
    whir_event_t event = {.kind = WHIR_EVENT_KIND_UPDATE_SHADOW, .action = node->action, .shadow = &node->spare.shadow.counts};

    node->updating = 0;
    whir_update_abort(&node->update);
    whir_node_tell_event(node, &event, now_ms);
}

static void refuse(whir_node_t *node, int code, uint64_t now_ms)
{
    node->updating = 0;
    whir_update_abort(&node->update);
    tell(node, WHIR_EVENT_KIND_UPDATE_REFUSED, code, now_ms);
}

int whir_node_update_start(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    int err;

    /* On trial the other slot holds the model to go back to: it is not to be overwritten. */
    if (node->updating || node->slots.state.trial || node->slots.state.firmware_trial ||
        (command->shadow_s != 0 && node->learn.wanted != 0)) {
        return WHIR_ERR_BUSY;
    }
    err = whir_update_begin(&node->update, command->bytes);
    if (err < 0) {
        return err;
    }
    err = node->ports.link->fetch(node->ports.link, command->text, command->bytes);
    if (err < 0) {
        whir_update_abort(&node->update);
        return err;
    }
    node->updating = WHIR_NODE_UPDATING_MODEL;
    node->fetched = 0;
    node->shadow_s = command->shadow_s;
    node->deadline_s = command->deadline_s != 0 ? command->deadline_s : WHIR_BUNDLE_TRIAL_DEADLINE_MS_DEFAULT / 1000;
    memcpy(node->action, command->id, sizeof node->action);
    tell(node, WHIR_EVENT_KIND_UPDATE_STARTED, 0, now_ms);
    return 0;
}

int whir_node_bundle_data(whir_node_t *node, const void *data, uint32_t bytes, uint64_t now_ms)
{
    int err;

    node->now_ms = now_ms;
    if (node->updating == WHIR_NODE_UPDATING_FIRMWARE) {
        return whir_node_firmware_data(node, data, bytes, now_ms);
    }
    if (node->updating != WHIR_NODE_UPDATING_MODEL) {
        return WHIR_ERR_STATE;
    }
    if (node->update.phase == WHIR_UPDATE_ERASE) {
        return WHIR_ERR_BUSY;
    }
    err = whir_update_write(&node->update, data, bytes);
    if (err < 0) {
        refuse(node, err, now_ms);
    }
    return err;
}

int whir_node_bundle_end(whir_node_t *node, int error, uint64_t now_ms)
{
    node->now_ms = now_ms;
    if (node->updating == WHIR_NODE_UPDATING_FIRMWARE) {
        return whir_node_firmware_end(node, error, now_ms);
    }
    if (node->updating != WHIR_NODE_UPDATING_MODEL) {
        return WHIR_ERR_STATE;
    }
    if (error < 0) {
        refuse(node, WHIR_ERR_DOWNLOAD, now_ms);
        return WHIR_ERR_DOWNLOAD;
    }
    node->fetched = 1;
    return 0;
}

void whir_node_tell_trial(whir_node_t *node, uint64_t now_ms)
{
    node->update.trial_deadline_ms = now_ms + (uint64_t)node->deadline_s * 1000;
    node->trial_seq = node->seq;
    node->trial_told = 1;
    tell(node, WHIR_EVENT_KIND_UPDATE_TRIAL, 0, now_ms);
}

/* A golden window takes the place of the one that is being filled, which begins anew. */
static whir_golden_scratch_t scratch_of(whir_node_t *node)
{
    return (whir_golden_scratch_t){
        .window = node->ring,
        .features = node->features,
        .fft = node->scratch,
        .input = node->input,
        .window_words = WHIR_NODE_FRAME_WORDS,
        .feature_words = WHIR_NODE_FRAME_WORDS,
        .input_bytes = WHIR_NODE_FRAME_WORDS,
    };
}

int whir_node_prove(whir_node_t *node, whir_golden_mismatch_t *mismatch)
{
    const whir_golden_scratch_t scratch = scratch_of(node);
    int err = node->serving ? 0 : whir_node_open(node); /* why there is no model */

    if (err < 0) {
        return err;
    }
    whir_window_gap(&node->window);
    return whir_golden_prove(&node->bundle, node->ports.engine, &node->info, &scratch, mismatch);
}

/* Everything that can speak against the bundle, then the one commit, but for a run in the shadow. Samples pushed meanwhile wait
 * in the port's FIFO. */
static int install(whir_node_t *node, whir_bundle_t *candidate, uint64_t now_ms)
{
    const whir_golden_scratch_t scratch = scratch_of(node);
    int err = whir_update_verify(&node->update, candidate);

    if (err < 0) {
        return err;
    }
    err = node->shadow_s != 0 ? whir_node_shadow_fits(node, candidate) : 0;
    if (err < 0) {
        return err;
    }
    err = whir_node_load(node, candidate);
    if (err == 0) {
        err = whir_update_prove(&node->update, candidate, node->ports.engine, &node->info, &scratch);
    }
    if (err == 0 && node->shadow_s == 0) {
        err = whir_update_trial(&node->update, node->action, now_ms + (uint64_t)node->deadline_s * 1000);
    }
    if (err < 0 || node->shadow_s != 0) {
        whir_node_restore(node);
    }
    return err;
}

static void finish(whir_node_t *node, uint64_t now_ms)
{
    whir_bundle_t candidate;
    int err = install(node, &candidate, now_ms);

    if (err < 0) {
        refuse(node, err, now_ms);
        return;
    }
    if (node->shadow_s != 0) {
        whir_node_shadow_begin(node, &candidate, node->shadow_s, now_ms);
        return;
    }
    node->updating = 0;
    whir_node_serve(node, &candidate);
    whir_node_tell_trial(node, now_ms);
}

static int revert(whir_node_t *node)
{
    int err = whir_update_revert(&node->update);

    if (err == 0) {
        node->trial_told = 0;
        node->status_due = 1;
        (void)whir_node_open(node); /* without a model the node says so itself */
    }
    return err;
}

void whir_node_update_step(whir_node_t *node, uint64_t now_ms)
{
    int err;

    if (node->updating == WHIR_NODE_UPDATING_MODEL) {
        if (node->update.phase == WHIR_UPDATE_ERASE) {
            err = whir_update_erase_step(&node->update);
            if (err < 0) {
                refuse(node, err, now_ms);
            }
        } else if (node->fetched) {
            finish(node, now_ms);
        }
    } else if (node->updating == WHIR_NODE_UPDATING_SHADOW) {
        if (whir_node_shadow_over(node, now_ms)) {
            tell_shadow(node, now_ms);
        }
    } else if (node->slots.state.trial && now_ms >= node->update.trial_deadline_ms) {
        if (revert(node) == 0) {
            tell(node, WHIR_EVENT_KIND_UPDATE_REVERTED, WHIR_ERR_EXPIRED, now_ms);
        }
    }
}

void whir_node_trial_receipt(whir_node_t *node, uint64_t now_ms)
{
    if (whir_update_confirm(&node->update, node->bundle.security_counter) < 0) {
        return; /* the flash failed: still on trial, the deadline decides */
    }
    node->trial_told = 0;
    node->policy.security_counter_min = node->slots.state.security_counter;
    node->status_due = 1;
    tell(node, WHIR_EVENT_KIND_UPDATE_CONFIRMED, 0, now_ms);
}

int whir_node_rollback(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    whir_slots_state_t *state = &node->slots.state;
    uint8_t was_trial = state->trial;
    char before[sizeof state->action];
    int err;

    if (node->updating || node->slots.state.firmware_trial) {
        return WHIR_ERR_BUSY;
    }
    /* Stored by the same commit that changes the slot: sent again after a restart, the command must not go back twice. */
    memcpy(before, state->action, sizeof before);
    memcpy(state->action, command->id, sizeof state->action);
    err = revert(node);
    if (err < 0) {
        memcpy(state->action, before, sizeof before);
        return err;
    }
    if (was_trial) {
        tell(node, WHIR_EVENT_KIND_UPDATE_REVERTED, 0, now_ms);
    }
    memcpy(node->action, command->id, sizeof node->action);
    tell(node, WHIR_EVENT_KIND_ROLLBACK_DONE, 0, now_ms);
    return 0;
}
