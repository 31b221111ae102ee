#ifndef WHIR_NN_FLATBUFFER_H
#define WHIR_NN_FLATBUFFER_H

#include <stdint.h>
#include <string.h>

/*
 * FlatBuffer reading for untrusted files. Every access is checked against the file's length and for its alignment. The first
 * bad one sticks: from then on all reads give 0, so that a caller may read a whole operator and look once.
 */
typedef struct whir_fb {
    const uint8_t *data; /* 4-byte aligned */
    uint32_t bytes;      /* below 2^31; 0 once a bad access was made */
    uint32_t bad_at;     /* offset of the first bad access */
} whir_fb_t;

/* Where a table is whose vtable has been checked; 0: absent. */
typedef uint32_t whir_fb_table_t;

/* count == 0: absent or empty. */
typedef struct whir_fb_vector {
    uint32_t at; /* of the first element */
    uint32_t count;
} whir_fb_vector_t;

static inline uint32_t whir_fb_is_bad(const whir_fb_t *fb)
{
    return fb->bytes == 0;
}

/* A little-endian word at a place known to be inside and aligned. */
static inline uint32_t whir_fb_load(const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, __builtin_assume_aligned(at, 4), 4);
    return word;
}

/* Marks the file bad at an offset (also used for what the schema, not the encoding, forbids). */
void whir_fb_fail(whir_fb_t *fb, uint32_t at);

uint32_t whir_fb_u32(whir_fb_t *fb, uint32_t at);

/* The root table when the file identifier is `identifier` (4 characters as a little-endian word). */
whir_fb_table_t whir_fb_root(whir_fb_t *fb, uint32_t identifier);

/* Where a field is stored, by its number in the schema, or 0. */
uint32_t whir_fb_locate(const whir_fb_t *fb, whir_fb_table_t table, uint32_t field);

/* Fields; an absent byte is 0. */
uint8_t whir_fb_get_u8(whir_fb_t *fb, whir_fb_table_t table, uint32_t field);
uint32_t whir_fb_get_u32(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t absent);
whir_fb_table_t whir_fb_get_table(whir_fb_t *fb, whir_fb_table_t table, uint32_t field);
whir_fb_vector_t whir_fb_get_vector(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t element_bytes);

/* An element that is a table; bad when `index` is outside. */
whir_fb_table_t whir_fb_element(whir_fb_t *fb, whir_fb_vector_t vector, uint32_t index);

#endif
