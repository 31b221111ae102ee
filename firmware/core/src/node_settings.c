#include "node_parts.h"

int whir_node_setting(whir_node_t *node, const whir_command_t *command)
{
    whir_store_t *store = node->ports.store;

    return store == NULL ? WHIR_ERR_STATE : whir_settings_change(store, command->key, command->text);
}

static void tell(whir_node_t *node, whir_trial_t outcome, uint64_t now_ms)
{
    whir_event_t event = {.kind =
                              outcome == WHIR_TRIAL_KEPT ? WHIR_EVENT_KIND_SETTINGS_KEPT : WHIR_EVENT_KIND_SETTINGS_REVERTED};

    whir_node_tell_event(node, &event, now_ms);
}

/* What became of a trial at this start: a cut stopped it, or came while it was taken over. */
void whir_node_settings_boot(whir_node_t *node, uint64_t now_ms)
{
    if (node->config.trial == WHIR_TRIAL_KEPT || node->config.trial == WHIR_TRIAL_REVERTED) {
        tell(node, node->config.trial, now_ms);
    }
}

void whir_node_settings_step(whir_node_t *node, uint64_t now_ms)
{
    if (node->config.trial != WHIR_TRIAL_RUNNING) {
        return;
    }
    node->config.trial = whir_settings_judge(node->ports.store, now_ms - node->begun_ms, node->receipted);
    if (node->config.trial == WHIR_TRIAL_KEPT) {
        tell(node, WHIR_TRIAL_KEPT, now_ms);
    } else if (node->config.trial == WHIR_TRIAL_REVERTED) { /* the next start takes them back, and tells */
        whir_node_restart_ask(node, 0, now_ms);
    }
}
