#ifndef WHIR_CONDITION_STATE_H
#define WHIR_CONDITION_STATE_H

#include <stdint.h>

struct whir_condition {
    uint32_t clipped; /* output samples saturated since init */
};

#endif
