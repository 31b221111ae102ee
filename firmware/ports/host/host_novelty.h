#ifndef WHIR_HOST_NOVELTY_H
#define WHIR_HOST_NOVELTY_H

#include <stdint.h>

/* Learns from `windows` windows of `count` features each; `entries` holds 4 * count bytes. 0, or WHIR_ERR_ARG for fewer windows
 * than are needed. */
int32_t host_novelty_learn(const int32_t *features, uint32_t windows, uint32_t count, uint8_t *entries, uint16_t *limit_q8);
/* Distance of each window, Q8. */
void host_novelty_distance(const uint8_t *entries, const int32_t *features, uint32_t windows, uint32_t count, uint16_t *out);

#endif
