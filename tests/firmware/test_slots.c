/* The state record: after a cut in a commit the node finds the state before it or the one after it. */
#include <string.h>

#include "check.h"
#include "fork_flash.h"
#include "whir/slots.h"

#define SECTOR 1024u
#define COMMITS 60u

typedef struct {
    uint32_t boot; /* of the last commit that returned */
    uint64_t checks;
} story_t;

static void recover(fork_flash_t *flash, void *context)
{
    story_t *story = context;
    uint32_t before = story->boot;
    whir_slots_t s;

    CHECK_EQUAL(whir_slots_mount(&s, &flash->seam, SECTOR), 0);
    if (before == 0 && s.sequence == 0) {
        CHECK_EQUAL(s.state.active, WHIR_SLOT_NONE);
    } else {
        CHECK(s.state.boot == before || s.state.boot == before + 1);
        CHECK_EQUAL(s.state.active, s.state.boot & 1);
        CHECK_EQUAL(s.state.security_counter, s.state.boot * 3);
        CHECK_EQUAL(s.state.action[0], 'a' + s.state.boot % 26);
    }
    story->checks++;
    /* the next boot commits; it is cut as well while there is a flash below */
    story->boot = s.state.boot;
    flash->context = story;
    flash->after_cut = recover;
    flash->seeds = 2;
    s.state.boot++;
    s.state.active = s.state.boot & 1;
    s.state.security_counter = s.state.boot * 3;
    s.state.action[0] = (char)('a' + s.state.boot % 26);
    CHECK_EQUAL(whir_slots_commit(&s), 0);
    story->boot = before;
}

static void test_power_cut_at_every_operation_leaves_the_old_state_or_the_new_one(void)
{
    for (uint32_t write_size = 1; write_size <= 32; write_size *= 2) {
        fork_flash_t flash[4];
        story_t story = {0, 0};
        whir_slots_t s;

        fork_flash_make(flash, 4, 4 * SECTOR, SECTOR, write_size);
        flash[0].after_cut = recover;
        flash[0].context = &story;
        flash[0].seeds = 4;
        CHECK_EQUAL(whir_slots_mount(&s, &flash[0].seam, SECTOR), 0);
        for (uint32_t i = 1; i <= COMMITS; i++) {
            s.state.boot = i;
            s.state.active = i & 1;
            s.state.security_counter = i * 3;
            s.state.action[0] = (char)('a' + i % 26);
            CHECK_EQUAL(whir_slots_commit(&s), 0);
            story.boot = i;
        }
        printf("    write size %2u: %u commits, cut at each of %llu operations, and three deep in the recovery: %llu mounts "
               "checked\n",
               write_size, COMMITS, (unsigned long long)flash[0].operations, (unsigned long long)story.checks);
        fork_flash_free(flash, 4);
    }
}

static void test_a_blank_or_foreign_range_gives_the_initial_state(void)
{
    fork_flash_t flash;
    whir_slots_t s;

    fork_flash_make(&flash, 1, 4 * SECTOR, SECTOR, 16);
    for (int blank = 0; blank < 2; blank++) {
        CHECK_EQUAL(whir_slots_mount(&s, &flash.seam, SECTOR), 0);
        CHECK_EQUAL(s.state.active, WHIR_SLOT_NONE);
        CHECK_EQUAL(s.state.previous, WHIR_SLOT_NONE);
        CHECK_EQUAL(s.state.boot, 0);
        flash_sim_blank(&flash.sim);
    }
    fork_flash_free(&flash, 1);
}

static void test_the_whole_state_comes_back(void)
{
    fork_flash_t flash;
    whir_slots_t s;
    whir_slots_state_t state;

    fork_flash_make(&flash, 1, 4 * SECTOR, SECTOR, 32);
    CHECK_EQUAL(whir_slots_mount(&s, &flash.seam, SECTOR), 0);
    memset(&s.state, 0, sizeof s.state);
    s.state.active = 1;
    s.state.previous = 0;
    s.state.trial = 1;
    s.state.trial_boots = 1;
    s.state.security_counter = 0xFFFFFFFF;
    s.state.boot = 123456789;
    s.state.brownouts = 7;
    s.state.crashes = 65535;
    s.state.firmware_counter = 5;
    s.state.firmware_trial = 1;
    s.state.firmware_next = 6;
    s.state.firmware_deadline_s = 600;
    s.state.firmware_version = 0x89ABCDEF;
    memset(s.state.action, 'x', sizeof s.state.action - 1);
    state = s.state;
    CHECK_EQUAL(whir_slots_commit(&s), 0);
    CHECK_EQUAL(whir_slots_mount(&s, &flash.seam, SECTOR), 0);
    CHECK(memcmp(&s.state, &state, sizeof state) == 0);
    fork_flash_free(&flash, 1);
}

int main(void)
{
    RUN(test_power_cut_at_every_operation_leaves_the_old_state_or_the_new_one);
    RUN(test_a_blank_or_foreign_range_gives_the_initial_state);
    RUN(test_the_whole_state_comes_back);
    return 0;
}
