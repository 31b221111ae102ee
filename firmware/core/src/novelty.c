#include "whir/novelty.h"

#include <string.h>

#include "fixed.h"
#include "whir/bytes.h"

#define FRACTION_BITS 12 /* of running means beyond Q8, of running squares beyond Q16 less 8 */
#define DEVIATION_MAX (1 << 13)

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

uint16_t whir_novelty_distance(const uint8_t *entries, uint32_t count, const int32_t *features)
{
    uint32_t far[WHIR_NOVELTY_FARTHEST] = {0}; /* ascending */
    uint32_t sum = 0;

    for (uint32_t i = 0; i < count; i++, entries += WHIR_NOVELTY_ENTRY_BYTES) {
        int32_t off = features[i] - (int16_t)whir_le16(entries);
        uint32_t z = ((uint32_t)(off < 0 ? -off : off) * whir_le16(entries + 2)) >> 8;
        uint32_t at = 0;

        if (z <= far[0]) {
            continue;
        }
        for (; at + 1 < WHIR_NOVELTY_FARTHEST && z > far[at + 1]; at++) {
            far[at] = far[at + 1];
        }
        far[at] = z;
    }
    for (uint32_t i = 0; i < WHIR_NOVELTY_FARTHEST; i++) {
        sum += far[i];
    }
    sum = (sum + WHIR_NOVELTY_FARTHEST / 2) / WHIR_NOVELTY_FARTHEST;
    return (uint16_t)(sum > UINT16_MAX ? UINT16_MAX : sum);
}

uint16_t whir_novelty_permille(uint16_t distance_q8, uint16_t limit_q8)
{
    uint32_t permille = ((uint32_t)distance_q8 * 1000 + limit_q8 / 2u) / limit_q8;

    return (uint16_t)(permille < WHIR_NOVELTY_NONE ? permille : WHIR_NOVELTY_NONE - 1);
}

void whir_novelty_begin(whir_novelty_learn_t *l, uint32_t *words, uint16_t count, uint32_t windows)
{
    memset(l, 0, sizeof *l);
    memset(words, 0, 2u * count * sizeof words[0]);
    l->mean_q20 = (int32_t *)words;
    l->spread = words + count;
    l->count = count;
    l->wanted = windows < WHIR_NOVELTY_WINDOWS_MIN ? WHIR_NOVELTY_WINDOWS_MIN : windows;
}

/* Running mean and mean square of the deviation, each moved by 1 / n of what the new window differs. */
static void gather(whir_novelty_learn_t *l, const int32_t *features)
{
    int32_t n = (int32_t)l->windows;

    for (uint32_t i = 0; i < l->count; i++) {
        int32_t feature = clamp(features[i], INT16_MIN, INT16_MAX);
        int32_t before = (feature * (1 << FRACTION_BITS)) - l->mean_q20[i];
        int32_t after;
        int64_t square;

        l->mean_q20[i] += (before + (before < 0 ? -n / 2 : n / 2)) / n;
        after = (feature * (1 << FRACTION_BITS)) - l->mean_q20[i];
        /* before * after is the new window's part of the variance, whatever the mean was meanwhile (Welford) */
        before = clamp(before >> FRACTION_BITS, -DEVIATION_MAX, DEVIATION_MAX);
        after = clamp(after >> FRACTION_BITS, -DEVIATION_MAX, DEVIATION_MAX);
        square = ((int64_t)before * after * 16) - l->spread[i];
        l->spread[i] = (uint32_t)((int64_t)l->spread[i] + (square + (square < 0 ? -n / 2 : n / 2)) / n);
    }
}

/* In place: entry i takes the first half of the words behind it. */
static void freeze(whir_novelty_learn_t *l)
{
    uint8_t *entry = (uint8_t *)l->mean_q20;

    for (uint32_t i = 0; i < l->count; i++, entry += WHIR_NOVELTY_ENTRY_BYTES) {
        uint32_t spread_q8 = whir_isqrt64(((uint64_t)l->spread[i] + 8) >> 4);
        int32_t mean = (l->mean_q20[i] + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;

        spread_q8 = spread_q8 < WHIR_NOVELTY_SPREAD_MIN_Q8 ? WHIR_NOVELTY_SPREAD_MIN_Q8 : spread_q8;
        whir_put_le16(entry, (uint16_t)clamp(mean, INT16_MIN, INT16_MAX));
        whir_put_le16(entry + 2, (uint16_t)((65536u + spread_q8 / 2) / spread_q8));
    }
}

/* Distances count as a verdict has them: as means of several windows. */
static void look_back(whir_novelty_learn_t *l, const int32_t *features)
{
    l->block_sum += whir_novelty_distance(whir_novelty_entries(l), l->count, features);
    l->block_windows++;
    if (l->block_windows == WHIR_VERDICT_WINDOWS_MAX) {
        uint32_t mean = l->block_sum / WHIR_VERDICT_WINDOWS_MAX;
        l->farthest_q8 = (uint16_t)(mean > l->farthest_q8 ? mean : l->farthest_q8);
        l->block_sum = 0;
        l->block_windows = 0;
    }
}

int whir_novelty_learn(whir_novelty_learn_t *l, const int32_t *features)
{
    uint32_t gathered = l->wanted - l->wanted / 4;

    l->windows++;
    if (l->windows <= gathered) {
        gather(l, features);
    } else {
        look_back(l, features);
    }
    if (l->windows == gathered) {
        freeze(l);
    }
    return l->windows == l->wanted;
}

void whir_novelty_learn_velocity(whir_novelty_learn_t *l, uint32_t um_s)
{
    l->velocity_sum_um_s += um_s;
    l->velocity_seconds++;
}

const uint8_t *whir_novelty_entries(const whir_novelty_learn_t *l)
{
    return (const uint8_t *)l->mean_q20;
}

uint16_t whir_novelty_limit(const whir_novelty_learn_t *l)
{
    uint32_t limit = (uint32_t)l->farthest_q8 * WHIR_NOVELTY_LIMIT_PERCENT / 100;

    limit = limit < WHIR_NOVELTY_LIMIT_MIN_Q8 ? WHIR_NOVELTY_LIMIT_MIN_Q8 : limit;
    return (uint16_t)(limit > UINT16_MAX ? UINT16_MAX : limit);
}

uint32_t whir_novelty_velocity(const whir_novelty_learn_t *l)
{
    return l->velocity_seconds == 0 ? 0 : (uint32_t)(l->velocity_sum_um_s / l->velocity_seconds);
}
