#ifndef WHIR_COMMAND_H
#define WHIR_COMMAND_H

#include <stdint.h>

#include "whir/contract.h"

#define WHIR_COMMAND_NAME_MAX_BYTES 15

typedef enum whir_command_kind {
    WHIR_COMMAND_KIND_RECEIPT,
    WHIR_COMMAND_KIND_UPDATE,
    WHIR_COMMAND_KIND_ROLLBACK,
    WHIR_COMMAND_KIND_MEASURE,
    WHIR_COMMAND_KIND_COMMISSION,
    WHIR_COMMAND_KIND_CAPTURE,
    WHIR_COMMAND_KIND_THRESHOLDS,
    WHIR_COMMAND_KIND_IDENTIFY,
    WHIR_COMMAND_KIND_RESTART,
    WHIR_COMMAND_KIND_FACTORY_RESET,
    WHIR_COMMAND_KIND_FIRMWARE,
    WHIR_COMMAND_KIND_SETTING,
    WHIR_COMMAND_KIND_RENEW,
} whir_command_kind_t;

/* A command of contracts/messages.toml. Fields that it does not have are 0. */
typedef struct whir_command {
    whir_command_kind_t kind;
    char c[WHIR_COMMAND_NAME_MAX_BYTES + 1];
    char id[WHIR_MESSAGE_COMMAND_ID_MAX_BYTES + 1];
    uint64_t exp_s;
    char key[WHIR_MESSAGE_SETTING_KEY_MAX_BYTES + 1];
    char text[WHIR_MESSAGE_SETTING_VALUE_MAX_BYTES + 1]; /* the URL, or a setting's value */
    uint32_t bytes;
    uint32_t deadline_s, shadow_s;
    uint32_t seconds;
    uint32_t raise_permille, clear_permille;
    uint32_t boot;
    uint32_t seq[WHIR_MESSAGE_RECEIPT_MAX_SEQ];
    uint32_t seq_count;
} whir_command_t;

/*
 * Reads one message from `cmd`. Fields that we do not know are passed over; a known one that comes twice is refused, for two
 * readers could take different ones. 0; WHIR_ERR_JSON; WHIR_ERR_VERSION; WHIR_ERR_COMMAND (no such command, a field missing, of
 * another type or out of range). After an error `c` and `id` hold what could be read, else "", for the answer.
 */
int whir_command_parse(whir_command_t *command, const void *payload, uint32_t bytes);

#endif
