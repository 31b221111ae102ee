#include "whir/command.h"

#include <stddef.h>
#include <string.h>

#include "whir/json.h"

enum {
    V = 1 << 0,
    C = 1 << 1,
    ID = 1 << 2,
    EXP = 1 << 3,
    URL = 1 << 4,
    BYTES = 1 << 5,
    DEADLINE = 1 << 6,
    BOOT = 1 << 7,
    SEQ = 1 << 8,
    SECONDS = 1 << 9,
    RAISE = 1 << 10,
    CLEAR = 1 << 11,
    KEY = 1 << 12,
    VALUE = 1 << 13,
    SHADOW = 1 << 14,
    TEXTS = URL | VALUE, /* share their place: no command has both */
};

static const struct {
    const char *name;
    uint16_t field;
} FIELDS[] = {
    {"v", V},
    {"c", C},
    {"id", ID},
    {"exp", EXP},
    {"url", URL},
    {"bytes", BYTES},
    {"deadline_s", DEADLINE},
    {"shadow_s", SHADOW},
    {"boot", BOOT},
    {"seq", SEQ},
    {"seconds", SECONDS},
    {"raise_permille", RAISE},
    {"clear_permille", CLEAR},
    {"key", KEY},
    {"value", VALUE},
};

static const struct {
    const char *name;
    whir_command_kind_t kind;
    uint16_t required;
} COMMANDS[] = {
    {WHIR_COMMAND_RECEIPT, WHIR_COMMAND_KIND_RECEIPT, V | C | BOOT | SEQ},
    {WHIR_COMMAND_UPDATE, WHIR_COMMAND_KIND_UPDATE, V | C | ID | EXP | URL | BYTES},
    {WHIR_COMMAND_ROLLBACK, WHIR_COMMAND_KIND_ROLLBACK, V | C | ID | EXP},
    {WHIR_COMMAND_MEASURE, WHIR_COMMAND_KIND_MEASURE, V | C | ID | EXP},
    {WHIR_COMMAND_COMMISSION, WHIR_COMMAND_KIND_COMMISSION, V | C | ID | EXP},
    {WHIR_COMMAND_CAPTURE, WHIR_COMMAND_KIND_CAPTURE, V | C | ID | EXP},
    {WHIR_COMMAND_THRESHOLDS, WHIR_COMMAND_KIND_THRESHOLDS, V | C | ID | EXP | RAISE | CLEAR},
    {WHIR_COMMAND_IDENTIFY, WHIR_COMMAND_KIND_IDENTIFY, V | C | ID | EXP},
    {WHIR_COMMAND_RESTART, WHIR_COMMAND_KIND_RESTART, V | C | ID | EXP},
    {WHIR_COMMAND_FACTORY_RESET, WHIR_COMMAND_KIND_FACTORY_RESET, V | C | ID | EXP},
    {WHIR_COMMAND_FIRMWARE, WHIR_COMMAND_KIND_FIRMWARE, V | C | ID | EXP | URL | BYTES},
    {WHIR_COMMAND_SETTING, WHIR_COMMAND_KIND_SETTING, V | C | ID | EXP | KEY | VALUE},
    {WHIR_COMMAND_RENEW, WHIR_COMMAND_KIND_RENEW, V | C | ID | EXP},
};

static uint16_t field_of(const char *key)
{
    for (unsigned i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        if (strcmp(key, FIELDS[i].name) == 0) {
            return FIELDS[i].field;
        }
    }
    return 0;
}

static int text(const whir_json_value_t *value, char *out, uint32_t max)
{
    if (value->type != WHIR_JSON_STRING || whir_json_text(value, out, max) <= 0) {
        out[0] = 0;
        return WHIR_ERR_COMMAND;
    }
    return 0;
}

static int u32(const whir_json_value_t *value, uint32_t *out)
{
    if (value->type != WHIR_JSON_UNSIGNED || value->number > UINT32_MAX) {
        return WHIR_ERR_COMMAND;
    }
    *out = (uint32_t)value->number;
    return 0;
}

static int numbers(const whir_json_value_t *value, whir_command_t *command)
{
    if (value->type != WHIR_JSON_ARRAY || value->number > WHIR_MESSAGE_RECEIPT_MAX_SEQ) {
        return WHIR_ERR_COMMAND;
    }
    command->seq_count = (uint32_t)value->number;
    for (uint32_t i = 0; i < command->seq_count; i++) {
        command->seq[i] = whir_json_entry(value, i);
    }
    return 0;
}

static int read_field(whir_command_t *command, uint16_t field, const whir_json_value_t *value)
{
    uint32_t version;

    switch (field) {
    case V:
        if (u32(value, &version) < 0) {
            return WHIR_ERR_COMMAND;
        }
        return version == WHIR_MESSAGE_VERSION ? 0 : WHIR_ERR_VERSION;
    case C:
        return text(value, command->c, sizeof command->c);
    case ID:
        return text(value, command->id, sizeof command->id);
    case EXP:
        command->exp_s = value->number;
        return value->type == WHIR_JSON_UNSIGNED ? 0 : WHIR_ERR_COMMAND;
    case URL:
        return text(value, command->text, WHIR_MESSAGE_URL_MAX_BYTES + 1);
    case KEY:
        return text(value, command->key, sizeof command->key);
    case VALUE: /* may be empty */
        return value->type == WHIR_JSON_STRING && whir_json_text(value, command->text, sizeof command->text) >= 0
                   ? 0
                   : WHIR_ERR_COMMAND;
    case BYTES:
        return u32(value, &command->bytes);
    case DEADLINE:
        return u32(value, &command->deadline_s);
    case SHADOW:
        return u32(value, &command->shadow_s);
    case SECONDS:
        return u32(value, &command->seconds);
    case RAISE:
        return u32(value, &command->raise_permille);
    case CLEAR:
        return u32(value, &command->clear_permille);
    case BOOT:
        return u32(value, &command->boot);
    default:
        return numbers(value, command);
    }
}

static int read_all(whir_command_t *command, const void *payload, uint32_t bytes, uint16_t *seen)
{
    whir_json_reader_t reader;
    whir_json_value_t value;
    char key[16];
    int wrong = 0;
    int got;

    whir_json_read(&reader, payload, bytes);
    while ((got = whir_json_next(&reader, key, sizeof key, &value)) == 1) {
        uint16_t field = field_of(key);
        if (field == 0) {
            continue;
        }
        int err = (*seen & field) != 0 ? WHIR_ERR_COMMAND : read_field(command, field, &value);
        *seen |= field;
        if (wrong == 0) { /* read on: the answer wants the id */
            wrong = err;
        }
    }
    return got < 0 ? got : wrong;
}

int whir_command_parse(whir_command_t *command, const void *payload, uint32_t bytes)
{
    uint16_t seen = 0;

    memset(command, 0, sizeof *command);
    if (bytes > WHIR_MESSAGE_COMMAND_MAX_BYTES) {
        return WHIR_ERR_JSON;
    }
    int err = read_all(command, payload, bytes, &seen);
    if (err < 0) {
        return err;
    }
    for (unsigned i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
        if (strcmp(command->c, COMMANDS[i].name) == 0) {
            command->kind = COMMANDS[i].kind;
            return (seen & COMMANDS[i].required) == COMMANDS[i].required && (seen & TEXTS) != TEXTS ? 0 : WHIR_ERR_COMMAND;
        }
    }
    return WHIR_ERR_COMMAND;
}
