#include "whir/json.h"

#include <string.h>

#include "utf8.h"

static void skip_space(whir_json_reader_t *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static int take(whir_json_reader_t *r, uint8_t byte)
{
    if (r->at < r->end && *r->at == byte) {
        r->at++;
        return 1;
    }
    return 0;
}

static int take_word(whir_json_reader_t *r, const char *word)
{
    uint32_t bytes = (uint32_t)strlen(word);

    if ((uint32_t)(r->end - r->at) < bytes || memcmp(r->at, word, bytes) != 0) {
        return 0;
    }
    r->at += bytes;
    return 1;
}

static int is_digit(const whir_json_reader_t *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static int hex4(const uint8_t *p, const uint8_t *end, uint32_t *code)
{
    if (end - p < 4) {
        return 0;
    }
    *code = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t lower = p[i] | 0x20u;
        if (p[i] >= '0' && p[i] <= '9') {
            *code = *code * 16 + (p[i] - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            *code = *code * 16 + (lower - 'a' + 10);
        } else {
            return 0;
        }
    }
    return 1;
}

/* Decodes the escape at `p` (a backslash) into `out`; returns the bytes it took from the input, 0 when it is none. */
static uint32_t unescape(const uint8_t *p, const uint8_t *end, uint8_t out[4], uint32_t *out_bytes)
{
    static const char FROM[] = "\"\\/bfnrt";
    static const char TO[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;

    if (end - p < 2) {
        return 0;
    }
    if (p[1] != 'u') {
        const char *found = p[1] == 0 ? NULL : strchr(FROM, p[1]);
        if (found == NULL) {
            return 0;
        }
        out[0] = (uint8_t)TO[found - FROM];
        *out_bytes = 1;
        return 2;
    }
    if (!hex4(p + 2, end, &code) || code == 0) { /* no NUL: strings are terminated */
        return 0;
    }
    if (code < 0xD800 || code > 0xDFFF) {
        *out_bytes = whir_utf8_encode(code, out);
        return 6;
    }
    if (code > 0xDBFF || end - p < 12 || p[6] != '\\' || p[7] != 'u' || !hex4(p + 8, end, &low) || low < 0xDC00 ||
        low > 0xDFFF) {
        return 0;
    }
    *out_bytes = whir_utf8_encode(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), out);
    return 12;
}

/* One character of a string: returns the bytes taken, 0 when it may not stand there. */
static uint32_t character(const uint8_t *p, const uint8_t *end, uint8_t out[4], uint32_t *out_bytes)
{
    uint32_t bytes = whir_utf8_length(p, end);

    if (bytes == 0 || *p < 0x20) {
        return 0;
    }
    if (*p == '\\') {
        return unescape(p, end, out, out_bytes);
    }
    memcpy(out, p, bytes);
    *out_bytes = bytes;
    return bytes;
}

static int read_string(whir_json_reader_t *r, whir_json_value_t *value)
{
    uint8_t ignored[4];
    uint32_t ignored_bytes;

    if (!take(r, '"')) {
        return WHIR_ERR_JSON;
    }
    value->type = WHIR_JSON_STRING;
    value->text = r->at;
    while (r->at < r->end && *r->at != '"') {
        uint32_t taken = character(r->at, r->end, ignored, &ignored_bytes);
        if (taken == 0) {
            return WHIR_ERR_JSON;
        }
        r->at += taken;
    }
    value->text_bytes = (uint32_t)(r->at - value->text);
    return take(r, '"') ? 0 : WHIR_ERR_JSON;
}

/* Digits without leading zeros; `fits` becomes 0 where 64 bits do not hold them. */
static int read_digits(whir_json_reader_t *r, uint64_t *number, int *fits)
{
    const uint8_t *first = r->at;

    *number = 0;
    *fits = 1;
    while (is_digit(r)) {
        uint64_t digit = (uint64_t)(*r->at++ - '0');
        if (*number > (UINT64_MAX - digit) / 10) {
            *fits = 0;
        }
        *number = *number * 10 + digit;
    }
    return r->at == first || (*first == '0' && r->at - first > 1) ? WHIR_ERR_JSON : 0;
}

static int read_fraction(whir_json_reader_t *r)
{
    if (!is_digit(r)) {
        return WHIR_ERR_JSON;
    }
    while (is_digit(r)) {
        r->at++;
    }
    return 0;
}

static int read_number(whir_json_reader_t *r, whir_json_value_t *value)
{
    int negative = take(r, '-');
    int fits;

    if (read_digits(r, &value->number, &fits) < 0) {
        return WHIR_ERR_JSON;
    }
    value->type = negative || !fits ? WHIR_JSON_NUMBER : WHIR_JSON_UNSIGNED;
    if (take(r, '.')) {
        value->type = WHIR_JSON_NUMBER;
        if (read_fraction(r) < 0) {
            return WHIR_ERR_JSON;
        }
    }
    if (take(r, 'e') || take(r, 'E')) {
        value->type = WHIR_JSON_NUMBER;
        if (!take(r, '+')) {
            (void)take(r, '-');
        }
        return read_fraction(r);
    }
    return 0;
}

static int read_array(whir_json_reader_t *r, whir_json_value_t *value)
{
    whir_json_value_t entry;

    (void)take(r, '[');
    value->type = WHIR_JSON_ARRAY;
    value->number = 0;
    value->text = r->at;
    skip_space(r);
    while (r->at < r->end && *r->at != ']') {
        if (value->number != 0 && !take(r, ',')) {
            return WHIR_ERR_JSON;
        }
        skip_space(r);
        if (read_number(r, &entry) < 0 || entry.type != WHIR_JSON_UNSIGNED || entry.number > UINT32_MAX ||
            value->number == WHIR_MESSAGE_COMMAND_ARRAY_MAX) {
            return WHIR_ERR_JSON;
        }
        value->number++;
        skip_space(r);
    }
    value->text_bytes = (uint32_t)(r->at - value->text);
    return take(r, ']') ? 0 : WHIR_ERR_JSON;
}

static int read_value(whir_json_reader_t *r, whir_json_value_t *value)
{
    uint8_t first = r->at < r->end ? *r->at : 0;

    memset(value, 0, sizeof *value);
    if (first == '"') {
        return read_string(r, value);
    }
    if (first == '[') {
        return read_array(r, value);
    }
    if (take_word(r, "null")) {
        value->type = WHIR_JSON_NULL;
        return 0;
    }
    if (take_word(r, "false")) {
        value->type = WHIR_JSON_BOOL;
        return 0;
    }
    if (take_word(r, "true")) {
        value->type = WHIR_JSON_BOOL;
        value->number = 1;
        return 0;
    }
    return read_number(r, value); /* an object inside fails here too */
}

void whir_json_read(whir_json_reader_t *r, const void *text, uint32_t bytes)
{
    r->at = text;
    r->end = r->at + bytes;
    r->fields = 0;
    skip_space(r);
    r->open = (uint8_t)take(r, '{');
}

int whir_json_next(whir_json_reader_t *r, char *key, uint32_t key_max, whir_json_value_t *value)
{
    if (!r->open) {
        return WHIR_ERR_JSON;
    }
    skip_space(r);
    if (take(r, '}')) {
        r->open = 0;
        skip_space(r);
        return r->at == r->end ? 0 : WHIR_ERR_JSON;
    }
    if (r->fields && !take(r, ',')) {
        return WHIR_ERR_JSON;
    }
    r->fields = 1;
    skip_space(r);
    if (read_string(r, value) < 0) {
        return WHIR_ERR_JSON;
    }
    if (whir_json_text(value, key, key_max) < 0) {
        key[0] = 0;
    }
    skip_space(r);
    if (!take(r, ':')) {
        return WHIR_ERR_JSON;
    }
    skip_space(r);
    return read_value(r, value) < 0 ? WHIR_ERR_JSON : 1;
}

int whir_json_text(const whir_json_value_t *value, char *out, uint32_t max)
{
    const uint8_t *p = value->text;
    const uint8_t *end = p + value->text_bytes;
    uint8_t decoded[4];
    uint32_t decoded_bytes;
    uint32_t bytes = 0;

    while (p < end) {
        p += character(p, end, decoded, &decoded_bytes); /* checked when it was read */
        if (decoded_bytes >= max - bytes) {
            return WHIR_ERR_SPACE;
        }
        memcpy(out + bytes, decoded, decoded_bytes);
        bytes += decoded_bytes;
    }
    out[bytes] = 0;
    return (int)bytes;
}

uint32_t whir_json_entry(const whir_json_value_t *value, uint32_t index)
{
    whir_json_reader_t r = {value->text, value->text + value->text_bytes, 0, 0};
    whir_json_value_t entry = {WHIR_JSON_NULL, 0, NULL, 0};

    for (uint32_t i = 0; i <= index; i++) {
        skip_space(&r);
        (void)take(&r, ',');
        skip_space(&r);
        (void)read_number(&r, &entry);
    }
    return (uint32_t)entry.number;
}
