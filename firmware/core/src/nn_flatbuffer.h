#ifndef WHIR_NN_FLATBUFFER_H
#define WHIR_NN_FLATBUFFER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * FlatBuffer reading for untrusted files. Every access is checked against the file's length. The first bad one sticks: from
 * then on all reads give 0, so that a caller may read a whole operator and look at `bad` once.
 */
typedef struct whir_fb {
    const uint8_t *data;
    uint32_t bytes;
    uint32_t bad_at; /* offset of the first bad access */
    bool bad;
} whir_fb_t;

/* at == 0: absent. */
typedef struct whir_fb_table {
    uint32_t at;
    uint32_t vtable;
    uint16_t vtable_bytes;
} whir_fb_table_t;

/* count == 0: absent or empty. */
typedef struct whir_fb_vector {
    uint32_t at; /* of the first element */
    uint32_t count;
} whir_fb_vector_t;

void whir_fb_init(whir_fb_t *fb, const uint8_t *data, uint32_t bytes);
/* Marks the file bad at an offset (also used for what the schema, not the encoding, forbids). */
void whir_fb_fail(whir_fb_t *fb, uint32_t at);

uint8_t whir_fb_u8(whir_fb_t *fb, uint32_t at);
uint32_t whir_fb_u32(whir_fb_t *fb, uint32_t at);

/* The root table when the file identifier is `identifier` (4 characters). */
whir_fb_table_t whir_fb_root(whir_fb_t *fb, const char *identifier);

/* Fields by their number in the schema. */
uint8_t whir_fb_get_u8(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint8_t absent);
uint32_t whir_fb_get_u32(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t absent);
whir_fb_table_t whir_fb_get_table(whir_fb_t *fb, whir_fb_table_t table, uint32_t field);
whir_fb_vector_t whir_fb_get_vector(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t element_bytes);

/* An element that is a table; bad when `index` is outside. */
whir_fb_table_t whir_fb_element(whir_fb_t *fb, whir_fb_vector_t vector, uint32_t index);

#endif
