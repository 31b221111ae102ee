#include "nn_flatbuffer.h"

#include <string.h>

#include "whir/bytes.h"

static const whir_fb_table_t NO_TABLE = {0, 0, 0};
static const whir_fb_vector_t NO_VECTOR = {0, 0};

void whir_fb_init(whir_fb_t *fb, const uint8_t *data, uint32_t bytes)
{
    fb->data = data;
    fb->bytes = bytes;
    fb->bad_at = 0;
    fb->bad = false;
}

void whir_fb_fail(whir_fb_t *fb, uint32_t at)
{
    if (!fb->bad) {
        fb->bad = true;
        fb->bad_at = at;
    }
}

static bool readable(whir_fb_t *fb, uint32_t at, uint32_t bytes)
{
    if (fb->bad || at > fb->bytes || fb->bytes - at < bytes) {
        whir_fb_fail(fb, at);
        return false;
    }
    return true;
}

uint8_t whir_fb_u8(whir_fb_t *fb, uint32_t at)
{
    return readable(fb, at, 1) ? fb->data[at] : 0;
}

static uint16_t read_u16(whir_fb_t *fb, uint32_t at)
{
    return readable(fb, at, 2) ? whir_le16(fb->data + at) : 0;
}

uint32_t whir_fb_u32(whir_fb_t *fb, uint32_t at)
{
    return readable(fb, at, 4) ? whir_le32(fb->data + at) : 0;
}

/* Follows the unsigned offset stored at `at`. 0 when it leads out of the file: nothing lies at 0 but the root offset. */
static uint32_t follow(whir_fb_t *fb, uint32_t at)
{
    uint32_t offset = whir_fb_u32(fb, at);

    if (fb->bad || offset == 0 || offset >= fb->bytes - at) {
        whir_fb_fail(fb, at);
        return 0;
    }
    return at + offset;
}

static whir_fb_table_t read_table(whir_fb_t *fb, uint32_t at)
{
    whir_fb_table_t table = {at, 0, 0};
    int64_t vtable = (int64_t)at - (int32_t)whir_fb_u32(fb, at); /* the stored offset is signed and points back */

    if (fb->bad || vtable < 0 || vtable >= fb->bytes) {
        whir_fb_fail(fb, at);
        return NO_TABLE;
    }
    table.vtable = (uint32_t)vtable;
    table.vtable_bytes = read_u16(fb, table.vtable);
    return fb->bad ? NO_TABLE : table;
}

whir_fb_table_t whir_fb_root(whir_fb_t *fb, const char *identifier)
{
    uint32_t at;

    if (!readable(fb, 4, 4) || memcmp(fb->data + 4, identifier, 4) != 0) {
        whir_fb_fail(fb, 4);
        return NO_TABLE;
    }
    at = follow(fb, 0);
    return at != 0 ? read_table(fb, at) : NO_TABLE;
}

/* Where the field is stored, or 0. */
static uint32_t locate(whir_fb_t *fb, whir_fb_table_t table, uint32_t field)
{
    uint32_t entry = 4 + 2 * field;
    uint16_t offset;

    if (table.at == 0 || entry + 2 > table.vtable_bytes) {
        return 0;
    }
    offset = read_u16(fb, table.vtable + entry);
    return offset != 0 ? table.at + offset : 0;
}

uint8_t whir_fb_get_u8(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint8_t absent)
{
    uint32_t at = locate(fb, table, field);

    return at != 0 ? whir_fb_u8(fb, at) : absent;
}

uint32_t whir_fb_get_u32(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t absent)
{
    uint32_t at = locate(fb, table, field);

    return at != 0 ? whir_fb_u32(fb, at) : absent;
}

whir_fb_table_t whir_fb_get_table(whir_fb_t *fb, whir_fb_table_t table, uint32_t field)
{
    uint32_t at = locate(fb, table, field);

    if (at != 0) {
        at = follow(fb, at);
    }
    return at != 0 ? read_table(fb, at) : NO_TABLE;
}

whir_fb_vector_t whir_fb_get_vector(whir_fb_t *fb, whir_fb_table_t table, uint32_t field, uint32_t element_bytes)
{
    whir_fb_vector_t vector;
    uint32_t at = locate(fb, table, field);

    if (at != 0) {
        at = follow(fb, at);
    }
    if (at == 0) {
        return NO_VECTOR;
    }
    vector.count = whir_fb_u32(fb, at);
    vector.at = at + 4;
    if (fb->bad || vector.count > (fb->bytes - vector.at) / element_bytes) {
        whir_fb_fail(fb, at);
        return NO_VECTOR;
    }
    return vector;
}

whir_fb_table_t whir_fb_element(whir_fb_t *fb, whir_fb_vector_t vector, uint32_t index)
{
    uint32_t at = 0;

    if (index >= vector.count) {
        whir_fb_fail(fb, vector.at);
    } else {
        at = follow(fb, vector.at + 4 * index);
    }
    return at != 0 ? read_table(fb, at) : NO_TABLE;
}
