#include "host_novelty.h"

#include <string.h>

#include "whir/novelty.h"

int32_t host_novelty_learn(const int32_t *features, uint32_t windows, uint32_t count, uint8_t *entries, uint16_t *limit_q8)
{
    uint32_t words[2 * WHIR_FEATURE_COUNT_MAX];
    whir_novelty_learn_t learn;

    if (windows < WHIR_NOVELTY_WINDOWS_MIN || count > WHIR_FEATURE_COUNT_MAX) {
        return WHIR_ERR_ARG;
    }
    whir_novelty_begin(&learn, words, (uint16_t)count, windows);
    for (uint32_t i = 0; i < windows; i++) {
        (void)whir_novelty_learn(&learn, features + (uint64_t)i * count);
    }
    memcpy(entries, whir_novelty_entries(&learn), (size_t)count * WHIR_NOVELTY_ENTRY_BYTES);
    *limit_q8 = whir_novelty_limit(&learn);
    return 0;
}

void host_novelty_distance(const uint8_t *entries, const int32_t *features, uint32_t windows, uint32_t count, uint16_t *out)
{
    for (uint32_t i = 0; i < windows; i++) {
        out[i] = whir_novelty_distance(entries, count, features + (uint64_t)i * count);
    }
}
