#include "host_json.h"

#include <string.h>

#include "whir/command.h"
#include "whir/json.h"

int host_json_string(const char *key, const char *value, char *out, uint32_t max)
{
    whir_json_t j;

    whir_json_begin(&j, out, max);
    whir_json_string(&j, key, value);
    return whir_json_end(&j);
}

int host_json_u64(const char *key, uint64_t value, char *out, uint32_t max)
{
    whir_json_t j;

    whir_json_begin(&j, out, max);
    whir_json_u64(&j, key, value);
    return whir_json_end(&j);
}

int host_json_i32(const char *key, int32_t value, char *out, uint32_t max)
{
    whir_json_t j;

    whir_json_begin(&j, out, max);
    whir_json_i32(&j, key, value);
    return whir_json_end(&j);
}

int host_json_map(const char *key, uint64_t value, char *out, uint32_t max)
{
    char longer[64];
    size_t bytes = strlen(key);
    whir_json_t j;

    if (bytes + 2 > sizeof longer) {
        return WHIR_ERR_SPACE;
    }
    memcpy(longer, key, bytes);
    memcpy(longer + bytes, "2", 2);
    whir_json_begin(&j, out, max);
    whir_json_map(&j, key);
    whir_json_u64(&j, key, value);
    whir_json_bool(&j, longer, 1);
    whir_json_map_end(&j);
    longer[bytes] = '3';
    whir_json_string(&j, longer, NULL);
    return whir_json_end(&j);
}

int host_command_parse(const uint8_t *payload, uint32_t bytes, host_command_t *out)
{
    whir_command_t command;
    int err = whir_command_parse(&command, payload, bytes);

    memset(out, 0, sizeof *out);
    out->kind = (uint8_t)command.kind;
    memcpy(out->c, command.c, sizeof out->c);
    memcpy(out->id, command.id, sizeof out->id);
    memcpy(out->key, command.key, sizeof out->key);
    memcpy(out->text, command.text, sizeof out->text);
    memcpy(out->seq, command.seq, sizeof out->seq);
    out->exp_s = command.exp_s;
    out->bytes = command.bytes;
    out->deadline_s = command.deadline_s;
    out->shadow_s = command.shadow_s;
    out->seconds = command.seconds;
    out->raise_permille = command.raise_permille;
    out->clear_permille = command.clear_permille;
    out->boot = command.boot;
    out->seq_count = command.seq_count;
    return err;
}
