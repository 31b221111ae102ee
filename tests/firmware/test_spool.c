/*
 * Nothing that was appended and not receipted is lost, unless counted as dropped; nothing receipted comes back, unless the cut
 * was in the writing of that very receipt. The power goes at every operation of a script of appends, receipts and wraps, and
 * again at every operation of the recovery.
 */
#include <string.h>

#include "check.h"
#include "fork_flash.h"
#include "whir/spool.h"

#define SECTOR 1024u
#define SECTORS 4u
#define BASE SECTOR /* not at 0: addresses are relative to it */
#define LIST_MAX 512u
#define PAYLOAD_MAX 700u
#define RECOVERY_SEQ 100000u

typedef struct {
    uint32_t seq[LIST_MAX];
    uint32_t count;
} list_t;

typedef enum { APPEND, RECEIPT } verb_t;

/* One step of the script, and what may be pending before and after it. */
typedef struct {
    verb_t verb;
    uint32_t seq;
    list_t before, after;
    uint32_t boot;
} step_t;

static uint64_t checks;

/* Length and bytes of a message follow from its seq; many bytes look erased. */
static uint16_t payload_make(uint32_t seq, uint8_t *payload)
{
    static const uint16_t LENGTHS[] = {5, 31, 32, 33, 120, 0, 260, 64, 600};
    uint16_t bytes = LENGTHS[seq % (sizeof LENGTHS / sizeof LENGTHS[0])];

    for (uint32_t i = 0; i < bytes; i++) {
        payload[i] = (i + seq) % 3 == 0 ? 0xFF : (uint8_t)(seq * 7 + i);
    }
    return bytes;
}

static void list_read(whir_spool_t *s, list_t *list)
{
    whir_spool_item_t item;
    uint8_t payload[PAYLOAD_MAX], wanted[PAYLOAD_MAX];
    int found;

    list->count = 0;
    while ((found = whir_spool_next(s, list->count == 0 ? NULL : &item, &item, payload, sizeof payload)) == 1) {
        CHECK_EQUAL(item.bytes, payload_make(item.seq, wanted));
        CHECK(memcmp(payload, wanted, item.bytes) == 0);
        CHECK_EQUAL(item.topic, item.seq % 5);
        CHECK(list->count < LIST_MAX);
        list->seq[list->count++] = item.seq;
    }
    CHECK_EQUAL(found, 0);
    CHECK_EQUAL(s->pending, list->count);
}

static int list_has(const list_t *list, uint32_t seq)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->seq[i] == seq) {
            return 1;
        }
    }
    return 0;
}

static int step_do(whir_spool_t *s, verb_t verb, uint32_t seq)
{
    uint8_t payload[PAYLOAD_MAX];
    uint16_t bytes = payload_make(seq, payload);

    return verb == APPEND ? whir_spool_append(s, (uint8_t)(seq % 5), 1, seq, payload, bytes) : whir_spool_receipt(s, 1, seq);
}

/* After a cut in a step: what was pending on both sides of it still is, and nothing else but what was on one of them. */
static void pending_check(const list_t *found, const step_t *step)
{
    for (uint32_t i = 0; i < step->before.count; i++) {
        if (list_has(&step->after, step->before.seq[i])) {
            CHECK(list_has(found, step->before.seq[i]));
        }
    }
    for (uint32_t i = 0; i < found->count; i++) {
        CHECK(list_has(&step->before, found->seq[i]) || list_has(&step->after, found->seq[i]));
        CHECK(i == 0 || found->seq[i] > found->seq[i - 1]);
    }
    checks++;
}

static void recover(fork_flash_t *flash, void *context);

/* Does one step on `s`, cut at each of its operations; the step's outcome is found out on a flash without cuts first. */
static void step_play(fork_flash_t *flash, whir_spool_t *s, verb_t verb, uint32_t seq)
{
    step_t step = {.verb = verb, .seq = seq, .boot = s->boot};
    fork_flash_t *below = flash->below;
    whir_spool_t trial = *s;

    list_read(s, &step.before);
    if (below != NULL) {
        flash_sim_copy(&below->sim, &flash->sim);
        trial.flash = &below->sim.seam;
        CHECK(step_do(&trial, verb, seq) >= 0);
        list_read(&trial, &step.after);
        flash->after_cut = recover;
        flash->context = &step;
    }
    CHECK(step_do(s, verb, seq) >= 0);
    list_read(s, &step.after);
    CHECK_EQUAL(list_has(&step.after, seq), verb == APPEND);
}

static void recover(fork_flash_t *flash, void *context)
{
    const step_t *step = context;
    whir_spool_t s;
    list_t found;

    CHECK_EQUAL(whir_spool_mount(&s, &flash->seam, BASE, SECTORS, step->boot + 1), 0);
    list_read(&s, &found);
    pending_check(&found, step);
    flash->seeds = 2;
    step_play(flash, &s, APPEND, RECOVERY_SEQ + step->boot);
    if (found.count != 0) {
        step_play(flash, &s, RECEIPT, found.seq[0]);
    }
}

/* Appends, receipts in and out of order, orderly restarts; the ring wraps several times and drops unreceipted messages. */
static void script_play(fork_flash_t *flash, whir_spool_t *s, uint32_t steps, uint32_t *dropped)
{
    uint32_t random = 1, seq = 0;

    CHECK_EQUAL(whir_spool_mount(s, &flash->seam, BASE, SECTORS, 1), 0);
    for (uint32_t i = 0; i < steps; i++) {
        list_t list;

        list_read(s, &list);
        random = random * 1664525u + 1013904223u;
        if (list.count > 0 && (random >> 16) % 100 < 45) {
            step_play(flash, s, RECEIPT, list.seq[(random >> 24) % list.count]);
        } else {
            step_play(flash, s, APPEND, seq++);
        }
        if ((random >> 8) % 16 == 0) { /* a restart that nobody noticed, or a wake from sleep with the same boot number */
            uint32_t boot = s->boot + (random >> 12) % 3;
            uint32_t pending = s->pending;

            *dropped += s->dropped;
            CHECK_EQUAL(whir_spool_mount(s, &flash->seam, BASE, SECTORS, boot), 0);
            CHECK_EQUAL(s->pending, pending);
        }
    }
    *dropped += s->dropped;
}

static void cut_everywhere(uint32_t write_size, uint32_t steps, uint32_t depth, uint32_t seeds)
{
    fork_flash_t flash[3];
    whir_spool_t s;
    uint32_t dropped = 0;

    checks = 0;
    fork_flash_make(flash, depth, BASE + SECTORS * SECTOR, SECTOR, write_size);
    flash[0].seeds = seeds;
    script_play(&flash[0], &s, steps, &dropped);
    CHECK(dropped > 0 && s.head > 3 * SECTORS);
    printf("    write size %2u: %u steps, cut at each of %llu operations %u ways, and at each operation of the recovery: %llu "
           "cuts, "
           "%llu mounts checked; %u sectors, %u messages dropped and counted\n",
           write_size, steps, (unsigned long long)flash[0].operations, seeds,
           (unsigned long long)(flash[0].cuts + flash[1].cuts), (unsigned long long)checks, s.head, dropped);
    fork_flash_free(flash, depth);
}

static void test_power_cut_at_every_operation_loses_nothing_unreceipted(void)
{
    cut_everywhere(1, 120, 3, 4);
    cut_everywhere(16, 120, 3, 4);
    cut_everywhere(32, 120, 3, 4);
}

static void test_power_cut_at_every_operation_of_a_long_script(void)
{
    cut_everywhere(1, 1000, 3, 8);
    cut_everywhere(4, 1000, 3, 8);
    cut_everywhere(16, 1000, 3, 8);
    cut_everywhere(32, 1000, 3, 8);
}

/* A flash without cuts, mounted as boot 1. */
static void plain_start(fork_flash_t *flash, whir_spool_t *s)
{
    fork_flash_make(flash, 1, BASE + SECTORS * SECTOR, SECTOR, 16);
    CHECK_EQUAL(whir_spool_mount(s, &flash->seam, BASE, SECTORS, 1), 0);
}

static void test_a_spool_in_which_every_boot_is_cut_at_its_first_operation_keeps_what_it_has(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    list_t list;

    for (uint32_t seed = 0; seed < 20; seed++) {
        plain_start(&flash, &s);
        for (uint32_t seq = 0; seq < 5; seq++) {
            CHECK_EQUAL(step_do(&s, APPEND, seq), 0);
        }
        for (uint32_t boot = 2; boot < 100; boot++) {
            flash_sim_cut(&flash.sim, 1, seed * 1000 + boot);
            CHECK_EQUAL(whir_spool_mount(&s, &flash.sim.seam, BASE, SECTORS, boot), 0);
            CHECK_EQUAL(step_do(&s, APPEND, 7), WHIR_ERR_FLASH);
            flash_sim_reboot(&flash.sim);
        }
        CHECK_EQUAL(whir_spool_mount(&s, &flash.seam, BASE, SECTORS, 100), 0);
        list_read(&s, &list);
        for (uint32_t seq = 0; seq < 5; seq++) {
            CHECK(list_has(&list, seq));
        }
        fork_flash_free(&flash, 1);
    }
}

static void test_a_boot_loop_that_appends_a_message_each_time_keeps_the_latest_ones(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    list_t list;

    plain_start(&flash, &s);
    for (uint32_t boot = 1; boot <= 200; boot++) {
        CHECK_EQUAL(whir_spool_mount(&s, &flash.seam, BASE, SECTORS, boot), 0);
        CHECK_EQUAL(step_do(&s, APPEND, boot * 9), 0); /* 5 bytes: two cells, and one that the restart costs */
    }
    list_read(&s, &list);
    CHECK(list.count >= (SECTORS - 2) * (SECTOR / 96 - 1));
    CHECK_EQUAL(list.seq[list.count - 1], 200 * 9);
    fork_flash_free(&flash, 1);
}

static void test_a_full_ring_drops_the_oldest_and_counts_them(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    list_t list;

    plain_start(&flash, &s);
    for (uint32_t i = 0; i < 100; i++) {
        CHECK_EQUAL(step_do(&s, APPEND, i * 9 + 4), 0); /* 120 bytes each */
    }
    list_read(&s, &list);
    CHECK_EQUAL(list.count + s.dropped, 100);
    CHECK_EQUAL(list.seq[0], s.dropped * 9 + 4);
    CHECK(list.count >= (SECTORS - 2) * (SECTOR / 160));
    fork_flash_free(&flash, 1);
}

static void test_a_receipt_outlives_the_sector_of_its_message(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    list_t list;

    plain_start(&flash, &s);
    for (uint32_t i = 0; i < 40; i++) { /* receipted at once, so that message and receipt are often in different sectors */
        CHECK_EQUAL(step_do(&s, APPEND, i), 0);
        CHECK_EQUAL(step_do(&s, RECEIPT, i), 1);
        CHECK_EQUAL(whir_spool_mount(&s, &flash.seam, BASE, SECTORS, 1), 0);
        list_read(&s, &list);
        CHECK_EQUAL(list.count, 0);
    }
    fork_flash_free(&flash, 1);
}

static void test_receipts_for_unknown_or_receipted_messages_change_nothing(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    uint64_t operations;

    plain_start(&flash, &s);
    CHECK_EQUAL(whir_spool_receipt(&s, 1, 3), 0);
    CHECK_EQUAL(step_do(&s, APPEND, 3), 0);
    CHECK_EQUAL(whir_spool_receipt(&s, 2, 3), 0); /* the same seq of another boot */
    CHECK_EQUAL(whir_spool_receipt(&s, 1, 3), 1);
    operations = flash.operations;
    CHECK_EQUAL(whir_spool_receipt(&s, 1, 3), 0);
    CHECK_EQUAL(flash.operations, operations);
    CHECK_EQUAL(s.pending, 0);
    fork_flash_free(&flash, 1);
}

static void test_a_search_goes_on_behind_a_message_that_was_dropped_meanwhile(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    whir_spool_item_t item;
    uint8_t payload[PAYLOAD_MAX];
    list_t list;

    plain_start(&flash, &s);
    CHECK_EQUAL(step_do(&s, APPEND, 4), 0);
    CHECK_EQUAL(whir_spool_next(&s, NULL, &item, payload, sizeof payload), 1);
    for (uint32_t i = 1; i < 40; i++) {
        CHECK_EQUAL(step_do(&s, APPEND, i * 9 + 4), 0);
    }
    list_read(&s, &list);
    CHECK(!list_has(&list, 4));
    CHECK_EQUAL(whir_spool_next(&s, &item, &item, payload, sizeof payload), 1);
    CHECK_EQUAL(item.seq, list.seq[0]);
    fork_flash_free(&flash, 1);
}

static void test_a_message_longer_than_a_sector_or_than_the_buffer_is_told(void)
{
    static uint8_t payload[SECTOR];
    fork_flash_t flash;
    whir_spool_t s;
    whir_spool_item_t item;

    plain_start(&flash, &s);
    CHECK_EQUAL(whir_spool_append(&s, 0, 1, 1, payload, SECTOR - 2 * WHIR_SPOOL_RECORD_BYTES + 1), WHIR_ERR_SPACE);
    CHECK_EQUAL(whir_spool_append(&s, 0, 1, 1, payload, SECTOR - 2 * WHIR_SPOOL_RECORD_BYTES), 0);
    CHECK_EQUAL(whir_spool_next(&s, NULL, &item, payload, 100), WHIR_ERR_SPACE);
    CHECK_EQUAL(item.bytes, SECTOR - 2 * WHIR_SPOOL_RECORD_BYTES);
    fork_flash_free(&flash, 1);
}

static void test_a_message_dropped_in_making_room_for_its_own_receipt_is_not_counted_as_lost(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    uint32_t seq = 1;

    plain_start(&flash, &s);
    CHECK_EQUAL(step_do(&s, APPEND, 0), 0);
    while (s.head < SECTORS - 1 || s.offset < SECTOR) { /* up to the last cell before the first sector goes */
        CHECK_EQUAL(whir_spool_append(&s, 0, 1, seq++, "", 0), 0);
    }
    CHECK_EQUAL(s.tail, 1);
    CHECK_EQUAL(step_do(&s, RECEIPT, 0), 1);
    CHECK_EQUAL(s.tail, 2);
    CHECK_EQUAL(s.dropped + s.pending, seq - 1);
    fork_flash_free(&flash, 1);
}

static void test_after_a_failed_write_without_a_restart_the_place_is_not_written_again(void)
{
    for (uint32_t seed = 0; seed < 50; seed++) {
        fork_flash_t flash;
        whir_spool_t s;
        list_t list;

        plain_start(&flash, &s);
        s.flash = &flash.sim.seam; /* the fork asserts success */
        CHECK_EQUAL(step_do(&s, APPEND, 1), 0);
        flash_sim_cut(&flash.sim, 1 + seed % 4, seed);
        CHECK_EQUAL(step_do(&s, APPEND, 8), WHIR_ERR_FLASH); /* 600 bytes: a header and three more operations */
        flash_sim_reboot(&flash.sim);
        CHECK_EQUAL(step_do(&s, APPEND, 10), 0);
        CHECK_EQUAL(step_do(&s, RECEIPT, 1), 1);
        CHECK_EQUAL(whir_spool_mount(&s, &flash.sim.seam, BASE, SECTORS, 2), 0);
        list_read(&s, &list);
        CHECK(list_has(&list, 10) && !list_has(&list, 1));
        CHECK_EQUAL(step_do(&s, APPEND, 19), 0);
        fork_flash_free(&flash, 1);
    }
}

/* Two headers spoilt in one boot: what the next boot writes must reach over neither. */
static void test_a_failed_write_and_a_cut_in_the_same_boot_spoil_no_later_message(void)
{
    for (uint32_t seed = 0; seed < 200; seed++) {
        fork_flash_t flash;
        whir_spool_t s;

        plain_start(&flash, &s);
        s.flash = &flash.sim.seam;
        CHECK_EQUAL(step_do(&s, APPEND, 0), 0);
        for (int failure = 0; failure < 2; failure++) {
            flash_sim_cut(&flash.sim, 1, seed * 2 + (uint32_t)failure);
            CHECK_EQUAL(step_do(&s, APPEND, 6), WHIR_ERR_FLASH);
            flash_sim_reboot(&flash.sim);
        }
        CHECK_EQUAL(whir_spool_mount(&s, &flash.sim.seam, BASE, SECTORS, 2), 0);
        CHECK_EQUAL(step_do(&s, APPEND, 8), 0);
        fork_flash_free(&flash, 1);
    }
}

static void test_a_record_left_over_from_an_earlier_round_does_not_count(void)
{
    fork_flash_t flash;
    whir_spool_t s;
    list_t before, after;

    plain_start(&flash, &s);
    for (uint32_t i = 0; i < 27; i++) { /* six to a sector: half of the head is free */
        CHECK_EQUAL(step_do(&s, APPEND, i * 9 + 4), 0);
    }
    list_read(&s, &before);
    /* the oldest sector's first message, where an erase that did nothing would have left it in the head */
    memcpy(flash.sim.data + BASE + s.head % SECTORS * SECTOR + s.offset,
           flash.sim.data + BASE + s.tail % SECTORS * SECTOR + WHIR_SPOOL_RECORD_BYTES, 160);
    CHECK_EQUAL(whir_spool_mount(&s, &flash.seam, BASE, SECTORS, 2), 0);
    list_read(&s, &after);
    CHECK_EQUAL(after.count, before.count);
    fork_flash_free(&flash, 1);
}

/* Bits that rot are no power cut: messages may be lost, but every call comes back and stays inside the ring. */
static void test_rotted_bits_cost_messages_but_nothing_else(void)
{
    uint32_t random = 1, survivors = 0;

    for (uint32_t run = 0; run < 300; run++) {
        fork_flash_t flash;
        whir_spool_t s;
        whir_spool_item_t item;
        uint8_t payload[PAYLOAD_MAX];
        uint32_t count = 0;

        plain_start(&flash, &s);
        for (uint32_t seq = 0; seq < 40; seq++) {
            CHECK_EQUAL(step_do(&s, APPEND, seq), 0);
            CHECK(seq % 3 != 0 || step_do(&s, RECEIPT, seq) == 1);
        }
        for (uint32_t i = 0; i < 1 + run % 20; i++) {
            random = random * 1664525u + 1013904223u;
            flash.sim.data[BASE + (random >> 8) % (SECTORS * SECTOR)] ^= (uint8_t)(1u << (random >> 29));
        }
        CHECK_EQUAL(whir_spool_mount(&s, &flash.seam, BASE, SECTORS, 2), 0);
        while (whir_spool_next(&s, count == 0 ? NULL : &item, &item, payload, sizeof payload) == 1) {
            CHECK(++count <= 40);
        }
        CHECK(whir_spool_receipt(&s, 1, 12345) == 0);
        survivors += count;
        fork_flash_free(&flash, 1);
    }
    CHECK(survivors > 300);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--long") == 0) {
        RUN(test_power_cut_at_every_operation_of_a_long_script);
        return 0;
    }
    RUN(test_power_cut_at_every_operation_loses_nothing_unreceipted);
    RUN(test_a_spool_in_which_every_boot_is_cut_at_its_first_operation_keeps_what_it_has);
    RUN(test_a_boot_loop_that_appends_a_message_each_time_keeps_the_latest_ones);
    RUN(test_a_full_ring_drops_the_oldest_and_counts_them);
    RUN(test_a_receipt_outlives_the_sector_of_its_message);
    RUN(test_receipts_for_unknown_or_receipted_messages_change_nothing);
    RUN(test_a_search_goes_on_behind_a_message_that_was_dropped_meanwhile);
    RUN(test_a_message_longer_than_a_sector_or_than_the_buffer_is_told);
    RUN(test_a_message_dropped_in_making_room_for_its_own_receipt_is_not_counted_as_lost);
    RUN(test_after_a_failed_write_without_a_restart_the_place_is_not_written_again);
    RUN(test_a_failed_write_and_a_cut_in_the_same_boot_spoil_no_later_message);
    RUN(test_rotted_bits_cost_messages_but_nothing_else);
    RUN(test_a_record_left_over_from_an_earlier_round_does_not_count);
    return 0;
}
