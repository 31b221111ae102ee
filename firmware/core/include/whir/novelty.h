#ifndef WHIR_NOVELTY_H
#define WHIR_NOVELTY_H

#include <stdint.h>

#include "whir/contract.h"

/*
 * How far a window's features lie from what this machine's were when it was commissioned. Features are those of kind `bands`:
 * logarithms, Q8. Their mean and spread over the healthy machine are learned on the node, then frozen.
 *
 * Frozen, a feature is 4 bytes, little-endian: mean i16 (Q8), gain u16 (2^16 / spread), which may lie in flash.
 */
#define WHIR_NOVELTY_ENTRY_BYTES 4
/* No novelty: no baseline, or none for these features. */
#define WHIR_NOVELTY_NONE UINT16_MAX

/* Mean of the WHIR_NOVELTY_FARTHEST largest |feature - mean| / spread of one window, Q8. */
uint16_t whir_novelty_distance(const uint8_t *entries, uint32_t count, const int32_t *features);
/* The distance as permille of the limit, below WHIR_NOVELTY_NONE. */
uint16_t whir_novelty_permille(uint16_t distance_q8, uint16_t limit_q8);

/* Learning: three quarters of the windows give mean and spread, the last one how far healthy windows lie from them. */
typedef struct whir_novelty_learn {
    int32_t *mean_q20;  /* then, packed, the frozen entries */
    uint32_t *spread;   /* mean squared deviation, Q20 */
    uint16_t count;     /* of features */
    uint32_t wanted;    /* windows; 0 = not learning */
    uint32_t windows;   /* so far */
    uint32_t block_sum; /* of distances */
    uint32_t block_windows;
    uint16_t farthest_q8; /* mean distance of a verdict's worth of windows, the largest so far */
    uint64_t velocity_sum_um_s;
    uint32_t velocity_seconds;
} whir_novelty_learn_t;

/* `words`: 2 * count of them, the caller's, until the learning is over. count may be 0: then only velocity is learned.
 * At least WHIR_NOVELTY_WINDOWS_MIN windows are taken. */
void whir_novelty_begin(whir_novelty_learn_t *l, uint32_t *words, uint16_t count, uint32_t windows);
/* One healthy window. Returns 1 when it was the last one: the entries are frozen. */
int whir_novelty_learn(whir_novelty_learn_t *l, const int32_t *features);
/* One second of the healthy machine's velocity. */
void whir_novelty_learn_velocity(whir_novelty_learn_t *l, uint32_t um_s);
/* Once learned: the frozen entries, count * WHIR_NOVELTY_ENTRY_BYTES; the distance from which on a window is novel; mean
 * velocity, 0 when none was measured. */
const uint8_t *whir_novelty_entries(const whir_novelty_learn_t *l);
uint16_t whir_novelty_limit(const whir_novelty_learn_t *l);
uint32_t whir_novelty_velocity(const whir_novelty_learn_t *l);

#endif
