#include "accel_parts.h"

#include <stddef.h>
#include <string.h>

#define ENTRY(name) &whir_accel_##name,

const whir_accel_part_t *const whir_accel_parts[] = {WHIR_ACCEL_PARTS(ENTRY) NULL};

const whir_accel_part_t *whir_accel_find(const char *name)
{
    for (int i = 0; whir_accel_parts[i] != NULL; i++) {
        if (strcmp(whir_accel_parts[i]->name, name) == 0) {
            return whir_accel_parts[i];
        }
    }
    return NULL;
}
