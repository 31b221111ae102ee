#include "nn_places.h"

#include <stddef.h>

#define UNPLACED UINT32_MAX

/*
 * The lowest offset at which `value` overlaps nothing placed that is in use at the same time, but for what it follows through
 * the memory, or what follows it: that one begins at a fixed distance.
 */
static uint32_t lowest_offset(const whir_nn_value_t *values, uint32_t count, const whir_nn_value_t *value)
{
    uint32_t first = (uint32_t)(value - values);
    uint32_t at = 0;

    for (uint32_t i = 0; i < count; i++) {
        const whir_nn_value_t *other = &values[i];
        uint32_t end = other->at + other->bytes;

        if (other->at != UNPLACED && i <= value->last && other->last >= first && at < end && other->at < at + value->bytes) {
            uint32_t sliding = UNPLACED;

            if (other->over == first) {
                sliding = other->at + other->gap;
            } else if (value->over == i) {
                sliding = other->at - value->gap; /* a large number when there is no room before it */
            }
            if (at == sliding) {
                continue;
            }
            at = at < sliding && sliding < end ? sliding : (end + 3) & ~3u;
            i = UINT32_MAX; /* look again from there */
        }
    }
    return at;
}

/* Gives every value its root for good: where an operator works in place and nobody needs its input later, they share one. */
static void take_over(whir_nn_value_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        whir_nn_value_t *value = &values[i];
        uint8_t root = values[value->over].root;

        if (values[root].last != i) {
            value->over = (uint8_t)i;
        } else if (value->gap != WHIR_NN_SAME_PLACE) {
            value->over = root;
        } else {
            values[root].last = value->last;
            value->root = root;
        }
        value->root = values[value->root].root;
        value->at = UNPLACED;
    }
}

/* Lays the values over each other, the largest first, and returns the bytes needed. Of equal ones, what follows another through
 * its memory is laid before that. */
uint32_t whir_nn_place_values(whir_nn_value_t *values, uint32_t count)
{
    uint32_t end = 0;

    take_over(values, count);
    for (;;) {
        whir_nn_value_t *largest = NULL;

        for (uint32_t i = 0; i < count; i++) {
            whir_nn_value_t *value = &values[i];

            if (value->root == i && value->at == UNPLACED &&
                (largest == NULL || value->bytes + (value->over != i) > largest->bytes)) {
                largest = value;
            }
        }
        if (largest == NULL) {
            break;
        }
        largest->at = lowest_offset(values, count, largest);
        if (largest->at + largest->bytes > end) {
            end = largest->at + largest->bytes;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i].at = values[values[i].root].at;
    }
    return (end + 3) & ~3u;
}
