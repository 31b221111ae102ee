#include "whir/json.h"

#include <string.h>

#include "utf8.h"

static void put(whir_json_t *j, const char *text, uint32_t bytes)
{
    if (j->full || bytes > j->max - j->bytes) {
        j->full = 1;
        return;
    }
    memcpy(j->text + j->bytes, text, bytes);
    j->bytes += bytes;
}

static void put_escaped(whir_json_t *j, uint8_t byte)
{
    static const char HEX[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15]};

    if (byte == '"' || byte == '\\') {
        text[1] = (char)byte;
        put(j, text, 2);
    } else {
        put(j, text, 6);
    }
}

static void put_quoted(whir_json_t *j, const char *value)
{
    const uint8_t *p = (const uint8_t *)value;
    const uint8_t *end = p + strlen(value);

    put(j, "\"", 1);
    while (p < end) {
        uint32_t bytes = whir_utf8_length(p, end);
        if (bytes == 0) {
            put(j, "\\ufffd", 6);
            bytes = 1;
        } else if (*p < 0x20 || *p == '"' || *p == '\\') {
            put_escaped(j, *p);
        } else {
            put(j, (const char *)p, bytes);
        }
        p += bytes;
    }
    put(j, "\"", 1);
}

static void put_key(whir_json_t *j, const char *key)
{
    if (j->comma) {
        put(j, ",", 1);
    }
    j->comma = 1;
    put_quoted(j, key);
    put(j, ":", 1);
}

static void put_u64(whir_json_t *j, uint64_t value)
{
    char digits[20];
    uint32_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(j, digits + at, (uint32_t)sizeof digits - at);
}

void whir_json_begin(whir_json_t *j, char *text, uint32_t max)
{
    j->text = text;
    j->max = max;
    j->bytes = 0;
    j->full = 0;
    j->comma = 0;
    put(j, "{", 1);
}

void whir_json_u64(whir_json_t *j, const char *key, uint64_t value)
{
    put_key(j, key);
    put_u64(j, value);
}

void whir_json_i32(whir_json_t *j, const char *key, int32_t value)
{
    put_key(j, key);
    if (value < 0) {
        put(j, "-", 1);
    }
    put_u64(j, (uint64_t)(value < 0 ? -(int64_t)value : value));
}

void whir_json_bool(whir_json_t *j, const char *key, int value)
{
    put_key(j, key);
    put(j, value ? "true" : "false", value ? 4 : 5);
}

void whir_json_string(whir_json_t *j, const char *key, const char *value)
{
    put_key(j, key);
    if (value == NULL) {
        put(j, "null", 4);
    } else {
        put_quoted(j, value);
    }
}

void whir_json_map(whir_json_t *j, const char *key)
{
    put_key(j, key);
    put(j, "{", 1);
    j->comma = 0;
}

void whir_json_map_end(whir_json_t *j)
{
    put(j, "}", 1);
    j->comma = 1;
}

int whir_json_end(whir_json_t *j)
{
    put(j, "}", 1);
    return j->full ? WHIR_ERR_SPACE : (int)j->bytes;
}
