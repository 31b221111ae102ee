#include "nn_flatbuffer.h"

#include <stdbool.h>

void whir_fb_fail(whir_fb_t *fb, uint32_t at)
{
    if (fb->bytes != 0) {
        fb->bad_at = at;
        fb->bytes = 0;
    }
}

/* `at` is below 2^31 + 2^16 wherever it comes from: the sum does not wrap. */
static bool is_inside(const whir_fb_t *fb, uint32_t at, uint32_t bytes)
{
    return at + bytes <= fb->bytes && (at & (bytes - 1)) == 0;
}

static uint16_t load_u16(const uint8_t *at)
{
    uint16_t half;

    memcpy(&half, __builtin_assume_aligned(at, 2), 2);
    return half;
}

uint32_t whir_fb_u32(whir_fb_t *fb, uint32_t at)
{
    if (!is_inside(fb, at, 4)) {
        whir_fb_fail(fb, at);
        return 0;
    }
    return whir_fb_load(fb->data + at);
}

/* Follows the unsigned offset stored at `at`. 0 when it leads out of the file: nothing lies at 0 but the root offset. */
static uint32_t follow(whir_fb_t *fb, uint32_t at)
{
    uint32_t offset = whir_fb_u32(fb, at);

    if (offset == 0 || offset >= fb->bytes - at) {
        whir_fb_fail(fb, at);
        return 0;
    }
    return at + offset;
}

/* The table to which the offset at `at` leads: its vtable lies inside with its whole length. */
static whir_fb_table_t follow_table(whir_fb_t *fb, uint32_t at)
{
    whir_fb_table_t table = follow(fb, at);
    uint32_t vtable = table - whir_fb_u32(fb, table); /* the stored offset is signed and points back */

    if (table == 0 || vtable >= fb->bytes || !is_inside(fb, vtable, 2) || load_u16(fb->data + vtable) > fb->bytes - vtable) {
        whir_fb_fail(fb, at);
        return 0;
    }
    return table;
}

whir_fb_table_t whir_fb_root(whir_fb_t *fb, uint32_t identifier)
{
    if (whir_fb_u32(fb, 4) != identifier) {
        whir_fb_fail(fb, 4);
    }
    return follow_table(fb, 0);
}

uint32_t whir_fb_locate(const whir_fb_t *fb, whir_fb_table_t table, uint32_t field)
{
    uint32_t entry = 4 + 2 * field, offset;
    const uint8_t *vtable;

    if (table == 0 || fb->bytes == 0) {
        return 0;
    }
    vtable = fb->data + table - (int32_t)whir_fb_load(fb->data + table);
    if (entry + 2 > load_u16(vtable)) {
        return 0;
    }
    offset = load_u16(vtable + entry);
    return offset != 0 ? table + offset : 0;
}

uint8_t whir_fb_get_u8(whir_fb_t *fb, whir_fb_table_t table, uint32_t field)
{
    uint32_t at = whir_fb_locate(fb, table, field);

    if (at >= fb->bytes) {
        whir_fb_fail(fb, at);
        return 0;
    }
    return at != 0 ? fb->data[at] : 0;
}

uint32_t whir_fb_get_u32(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t absent)
{
    uint32_t at = whir_fb_locate(fb, table, field);

    return at != 0 ? whir_fb_u32(fb, at) : absent;
}

whir_fb_table_t whir_fb_get_table(whir_fb_t *fb, whir_fb_table_t table, uint32_t field)
{
    uint32_t at = whir_fb_locate(fb, table, field);

    return at != 0 ? follow_table(fb, at) : 0;
}

whir_fb_vector_t whir_fb_get_vector(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t element_bytes)
{
    whir_fb_vector_t vector = {0, 0};
    uint32_t at = whir_fb_locate(fb, table, field);

    if (at != 0) {
        at = follow(fb, at);
        vector.count = whir_fb_u32(fb, at);
        vector.at = at + 4;
        if (vector.count > (fb->bytes - vector.at) / element_bytes) {
            whir_fb_fail(fb, at);
        }
        if (whir_fb_is_bad(fb)) {
            vector.count = 0;
        }
    }
    return vector;
}

whir_fb_table_t whir_fb_element(whir_fb_t *fb, whir_fb_vector_t vector, uint32_t index)
{
    if (index >= vector.count) {
        whir_fb_fail(fb, vector.at);
        return 0;
    }
    return follow_table(fb, vector.at + 4 * index);
}
