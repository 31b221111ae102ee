/* The machine's baseline on flash: after a cut at any operation the node finds the one before or the new one, whole. */
#include <string.h>

#include "check.h"
#include "fork_flash.h"
#include "whir/baseline.h"
#include "whir/contract.h"
#include "whir/novelty.h"

#define SECTOR 4096u
#define STORES 12u

typedef struct {
    uint32_t stored; /* sequence of the last that returned */
    uint64_t checks;
} story_t;

/* A baseline whose every byte follows from its number. */
static whir_baseline_facts_t make(uint32_t number, uint8_t entries[WHIR_FEATURE_COUNT_MAX * WHIR_NOVELTY_ENTRY_BYTES])
{
    whir_baseline_facts_t facts = {.extraction = number * 7919,
                                   .count = (uint16_t)(number * 37 % (WHIR_FEATURE_COUNT_MAX + 1)),
                                   .limit_q8 = (uint16_t)(500 + number),
                                   .windows = 1000 * number,
                                   .velocity_hz = 1000,
                                   .velocity_um_s = 1500 + number};

    for (uint32_t i = 0; i < facts.count * WHIR_NOVELTY_ENTRY_BYTES; i++) {
        entries[i] = (uint8_t)(i * 31 + number);
    }
    return facts;
}

static void check_is(const whir_baseline_t *b, uint32_t number)
{
    uint8_t entries[WHIR_FEATURE_COUNT_MAX * WHIR_NOVELTY_ENTRY_BYTES];
    whir_baseline_facts_t facts = make(number, entries);

    CHECK_EQUAL(b->sequence, number);
    CHECK_EQUAL(b->facts.extraction, facts.extraction);
    CHECK_EQUAL(b->facts.count, facts.count);
    CHECK_EQUAL(b->facts.limit_q8, facts.limit_q8);
    CHECK_EQUAL(b->facts.windows, facts.windows);
    CHECK_EQUAL(b->facts.velocity_um_s, facts.velocity_um_s);
    CHECK(memcmp(b->entries, entries, facts.count * WHIR_NOVELTY_ENTRY_BYTES) == 0);
}

static void store_next(whir_baseline_t *b)
{
    uint8_t entries[WHIR_FEATURE_COUNT_MAX * WHIR_NOVELTY_ENTRY_BYTES];
    whir_baseline_facts_t facts = make(b->sequence + 1, entries);

    CHECK_EQUAL(whir_baseline_store(b, &facts, entries), 0);
}

static void recover(fork_flash_t *flash, void *context)
{
    story_t *story = context;
    uint32_t before = story->stored;
    whir_baseline_t b;

    CHECK_EQUAL(whir_baseline_mount(&b, &flash->seam, SECTOR), 0);
    CHECK(b.sequence == before || b.sequence == before + 1);
    if (b.sequence != 0) {
        check_is(&b, b.sequence);
    }
    story->checks++;
    /* learned again after the reboot; it is cut as well while there is a flash below */
    story->stored = b.sequence;
    flash->context = story;
    flash->after_cut = recover;
    flash->seeds = 2;
    store_next(&b);
    story->stored = before;
}

static void test_power_cut_at_every_operation_leaves_the_old_baseline_or_the_new_one(void)
{
    for (uint32_t write_size = 1; write_size <= 32; write_size *= 2) {
        fork_flash_t flash[3];
        story_t story = {0, 0};
        whir_baseline_t b;

        fork_flash_make(flash, 3, 4 * SECTOR, SECTOR, write_size);
        flash[0].after_cut = recover;
        flash[0].context = &story;
        flash[0].seeds = 3;
        CHECK_EQUAL(whir_baseline_mount(&b, &flash[0].seam, SECTOR), 0);
        for (uint32_t i = 1; i <= STORES; i++) {
            store_next(&b);
            story.stored = i;
            check_is(&b, i);
        }
        printf("    write size %2u: %u baselines, cut at each of %llu operations, and two deep: %llu mounts checked\n",
               write_size, STORES, (unsigned long long)flash[0].operations, (unsigned long long)story.checks);
        fork_flash_free(flash, 3);
    }
}

static void test_garbage_and_a_flipped_bit_are_no_baseline(void)
{
    fork_flash_t flash;
    whir_baseline_t b;

    fork_flash_make(&flash, 1, 4 * SECTOR, SECTOR, 16);
    CHECK_EQUAL(whir_baseline_mount(&b, &flash.seam, SECTOR), 0);
    CHECK_EQUAL(b.sequence, 0);
    store_next(&b);
    store_next(&b);
    CHECK_EQUAL(whir_baseline_mount(&b, &flash.seam, SECTOR), 0);
    check_is(&b, 2);
    ((uint8_t *)(uintptr_t)b.entries)[5] ^= 0x10;
    CHECK_EQUAL(whir_baseline_mount(&b, &flash.seam, SECTOR), 0);
    check_is(&b, 1);
    fork_flash_free(&flash, 1);
}

static void test_more_than_a_sector_is_refused_before_anything_is_erased(void)
{
    uint8_t entries[WHIR_FEATURE_COUNT_MAX * WHIR_NOVELTY_ENTRY_BYTES];
    whir_baseline_facts_t facts = make(1, entries);
    fork_flash_t flash;
    whir_baseline_t b;

    facts.count = WHIR_FEATURE_COUNT_MAX;
    memset(entries, 0, sizeof entries);
    fork_flash_make(&flash, 1, 4 * 1024, 1024, 16);
    CHECK_EQUAL(whir_baseline_mount(&b, &flash.seam, 1024), 0);
    CHECK_EQUAL(whir_baseline_store(&b, &facts, entries), WHIR_ERR_SPACE);
    CHECK_EQUAL(flash.operations, 0);
    fork_flash_free(&flash, 1);
}

int main(void)
{
    RUN(test_power_cut_at_every_operation_leaves_the_old_baseline_or_the_new_one);
    RUN(test_garbage_and_a_flipped_bit_are_no_baseline);
    RUN(test_more_than_a_sector_is_refused_before_anything_is_erased);
    return 0;
}
