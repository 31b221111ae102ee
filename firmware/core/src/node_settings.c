#include <stddef.h>
#include <string.h>

#include "node_parts.h"
#include "whir/base64.h"
#include "whir/csr.h"

void whir_node_config_settings(whir_node_config_t *config, const whir_settings_t *s, whir_trial_t trial)
{
    config->trial = trial;
    config->up = whir_settings_axis(s->up);
    config->power_mode = (uint8_t)s->power;
    config->every_ms = s->every_s * 1000u;
    config->machine.shaft_mhz = (uint32_t)((uint64_t)s->rpm * 1000u / 60u);
}

int whir_node_setting(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    whir_store_t *store = node->ports.store;
    int err;

    if (store == NULL) {
        return WHIR_ERR_STATE;
    }
    if (strcmp(command->key, "certificate") != 0) {
        return whir_settings_change(store, command->key, command->text);
    }
    err = whir_settings_certificate(store, command->text);
    if (err > 0) { /* nothing else has to come before it can be tried */
        whir_node_restart_ask(node, 0, now_ms);
    }
    return err < 0 ? err : 0;
}

typedef struct signer {
    whir_crypto_t *crypto;
    const uint8_t *scalar;
} signer_t;

static int sign(void *signer, const void *message, uint32_t bytes, uint8_t signature[64])
{
    const signer_t *s = signer;

    return s->crypto->p256_sign(s->crypto, s->scalar, message, bytes, signature);
}

int whir_node_renew(whir_node_t *node, const whir_command_t *command, uint64_t now_ms)
{
    uint8_t key[WHIR_KEY_BYTES], der[WHIR_CSR_MAX_BYTES];
    char text[WHIR_BASE64_CHARS(WHIR_CSR_MAX_BYTES) + 1], name[2 * WHIR_NAME_NAME_MAX_BYTES + 2];
    signer_t signer = {node->ports.crypto, key};
    size_t site_bytes;
    whir_event_t event = {.kind = WHIR_EVENT_KIND_CERTIFICATE_REQUEST, .text = text, .action = command->id};
    int err = node->ports.store == NULL ? WHIR_ERR_STATE : whir_settings_next_key(node->ports.store, node->ports.crypto, key);

    if (err < 0) {
        return err;
    }
    site_bytes = strlen(node->config.site);
    if (site_bytes + 1 + strlen(node->config.name) >= sizeof name) {
        return WHIR_ERR_ARG;
    }
    memcpy(name, node->config.site, site_bytes);
    name[site_bytes] = '/';
    memcpy(name + site_bytes + 1, node->config.name, strlen(node->config.name) + 1);
    err = whir_csr_write(key + 32, name, sign, &signer, der);
    if (err < 0) {
        return err;
    }
    whir_base64_write(der, (uint32_t)err, text);
    whir_node_tell_event(node, &event, now_ms);
    return 0;
}

static void tell(whir_node_t *node, whir_trial_t outcome, uint64_t now_ms)
{
    whir_event_t event = {.kind =
                              outcome == WHIR_TRIAL_KEPT ? WHIR_EVENT_KIND_SETTINGS_KEPT : WHIR_EVENT_KIND_SETTINGS_REVERTED};

    whir_node_tell_event(node, &event, now_ms);
}

/* Of a boot: what is changed meanwhile holds from the next one on. */
void whir_node_settings_sum(whir_node_t *node)
{
    node->settings = node->ports.store != NULL ? whir_settings_sum(node->ports.store) : 0;
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
        whir_node_settings_sum(node);
        node->status_due = 1;
        tell(node, WHIR_TRIAL_KEPT, now_ms);
    } else if (node->config.trial == WHIR_TRIAL_REVERTED) { /* the next start takes them back, and tells */
        whir_node_restart_ask(node, 0, now_ms);
    }
}
