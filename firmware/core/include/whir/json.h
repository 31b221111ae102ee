#ifndef WHIR_JSON_H
#define WHIR_JSON_H

#include <stdint.h>

#include "whir/contract.h"

/*
 * Flat JSON, bounded, without heap or floating point. The writer turns bytes that are not UTF-8 into U+FFFD, so that whatever
 * a name holds, the message can be read. The reader takes what the contract allows: one object, no object inside it, arrays of
 * at most WHIR_MESSAGE_COMMAND_ARRAY_MAX unsigned integers, UTF-8 throughout.
 */
typedef struct whir_json {
    char *text;
    uint32_t max;
    uint32_t bytes;
    uint8_t full;  /* something did not fit: whir_json_end says so */
    uint8_t comma; /* the next field needs one */
} whir_json_t;

/* Opens the object. `text` stays the caller's and is not terminated. */
void whir_json_begin(whir_json_t *j, char *text, uint32_t max);
void whir_json_u64(whir_json_t *j, const char *key, uint64_t value);
void whir_json_i32(whir_json_t *j, const char *key, int32_t value);
void whir_json_bool(whir_json_t *j, const char *key, int value);
/* NULL writes null. */
void whir_json_string(whir_json_t *j, const char *key, const char *value);
/* An object of fields inside the object, until whir_json_map_end. */
void whir_json_map(whir_json_t *j, const char *key);
void whir_json_map_end(whir_json_t *j);
/* Closes the object; its length, or WHIR_ERR_SPACE. */
int whir_json_end(whir_json_t *j);

typedef enum whir_json_type {
    WHIR_JSON_STRING,
    WHIR_JSON_UNSIGNED, /* a whole number that fits 64 bits, written without sign, point or exponent */
    WHIR_JSON_NUMBER,   /* any other number: passed over, not valued */
    WHIR_JSON_BOOL,
    WHIR_JSON_NULL,
    WHIR_JSON_ARRAY, /* of unsigned numbers that fit 32 bits */
} whir_json_type_t;

typedef struct whir_json_value {
    whir_json_type_t type;
    uint64_t number;     /* unsigned, bool (0 or 1), or entries of the array */
    const uint8_t *text; /* of a string between its quotes, of an array between its brackets */
    uint32_t text_bytes;
} whir_json_value_t;

typedef struct whir_json_reader {
    const uint8_t *at, *end;
    uint8_t fields; /* some were read */
    uint8_t open;   /* the closing brace has not come yet */
} whir_json_reader_t;

/* `text` must outlive the reader and its values. */
void whir_json_read(whir_json_reader_t *r, const void *text, uint32_t bytes);
/*
 * The next field: 1 with `key` (decoded and terminated; longer than key_max - 1 bytes becomes "", which is no field of ours)
 * and `value`; 0 when the object ended and nothing follows it; WHIR_ERR_JSON, then stop.
 */
int whir_json_next(whir_json_reader_t *r, char *key, uint32_t key_max, whir_json_value_t *value);
/* Decodes a string value, terminated; its length, or WHIR_ERR_SPACE. */
int whir_json_text(const whir_json_value_t *value, char *out, uint32_t max);
/* Entry `index` (< number) of an array value. */
uint32_t whir_json_entry(const whir_json_value_t *value, uint32_t index);

#endif
