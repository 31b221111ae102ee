/* The simulator itself: what it forbids, and what a cut leaves behind. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flash_sim.h"
#include "whir/contract.h"

#define SIZE 4096u
#define SECTOR 1024u
#define UNIT 16u

static uint8_t data[SIZE], programmed[SIZE / UNIT];
static const uint8_t ONES[UNIT] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                   0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

static whir_flash_t *start(flash_sim_t *sim)
{
    flash_sim_init(sim, data, programmed, SIZE, SECTOR, UNIT, 45);
    flash_sim_blank(sim);
    return &sim->seam;
}

static void test_a_unit_programmed_twice_is_an_error_that_stays_even_with_ones(void)
{
    flash_sim_t sim;
    whir_flash_t *flash = start(&sim);
    uint8_t byte;

    CHECK_EQUAL(flash->write(flash, 0, ONES, UNIT), 0);
    CHECK_EQUAL(flash->write(flash, 0, ONES, UNIT), WHIR_ERR_FLASH_WORN);
    CHECK_EQUAL(flash->erase(flash, 0), WHIR_ERR_FLASH_WORN);
    CHECK_EQUAL(flash->read(flash, 0, &byte, 1), WHIR_ERR_FLASH_WORN);
    flash_sim_reboot(&sim);
    CHECK_EQUAL(flash->read(flash, 0, &byte, 1), WHIR_ERR_FLASH_WORN);
}

static void test_an_erase_lets_a_unit_be_programmed_again(void)
{
    flash_sim_t sim;
    whir_flash_t *flash = start(&sim);

    CHECK_EQUAL(flash->write(flash, SECTOR, ONES, UNIT), 0);
    CHECK_EQUAL(flash->erase(flash, SECTOR), 0);
    CHECK_EQUAL(flash->write(flash, SECTOR, ONES, UNIT), 0);
    CHECK_EQUAL(sim.erased_ms, 45);
    CHECK_EQUAL(sim.operations, 3);
}

static void test_calls_outside_the_seams_contract_are_refused(void)
{
    static const uint8_t LONG[512];
    flash_sim_t sim;
    whir_flash_t *flash = start(&sim);
    uint8_t byte;

    CHECK_EQUAL(flash->write(flash, 8, ONES, UNIT), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->write(flash, 0, ONES, 8), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->write(flash, 0, ONES, 0), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->write(flash, 0, LONG, 272), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->write(flash, SECTOR - UNIT, LONG, 2 * UNIT), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->write(flash, SIZE, ONES, UNIT), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->erase(flash, 16), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->erase(flash, SIZE), WHIR_ERR_ARG);
    CHECK_EQUAL(flash->read(flash, SIZE, &byte, 1), WHIR_ERR_ARG);
    CHECK(flash->map(flash, SIZE - 1, 2) == NULL);
    CHECK_EQUAL(sim.operations, 0);
}

static void test_after_a_cut_everything_fails_until_the_reboot(void)
{
    flash_sim_t sim;
    whir_flash_t *flash = start(&sim);
    uint8_t byte;

    flash_sim_cut(&sim, 2, 1);
    CHECK_EQUAL(flash->write(flash, 0, ONES, UNIT), 0);
    CHECK_EQUAL(flash->write(flash, UNIT, ONES, UNIT), WHIR_ERR_FLASH);
    CHECK_EQUAL(flash->read(flash, 0, &byte, 1), WHIR_ERR_FLASH);
    CHECK(flash->vendor_error != 0);
    CHECK(flash->map(flash, 0, 1) == NULL);
    flash_sim_reboot(&sim);
    CHECK_EQUAL(flash->read(flash, 0, &byte, 1), 0);
    CHECK_EQUAL(flash->write(flash, SECTOR, ONES, UNIT), 0);
}

static void test_a_cut_write_leaves_a_prefix_and_at_most_one_torn_unit_some_reading_as_blank(void)
{
    uint8_t wanted[8 * UNIT];
    uint32_t lengths = 0, torn_blank = 0, torn_garbage = 0, untouched = 0;

    memset(wanted, 0x5A, sizeof wanted);
    for (uint32_t seed = 0; seed < 200; seed++) {
        flash_sim_t sim;
        whir_flash_t *flash = start(&sim);
        uint32_t whole, unit = 0;

        flash_sim_cut(&sim, 1, seed);
        CHECK_EQUAL(flash->write(flash, 0, wanted, sizeof wanted), WHIR_ERR_FLASH);
        whole = sim.cut_bytes / UNIT;
        CHECK(memcmp(data, wanted, sim.cut_bytes) == 0);
        lengths |= 1u << whole;
        for (unit = 0; unit < 8; unit++) {
            CHECK(unit >= whole || programmed[unit]);
            CHECK(unit <= whole || !programmed[unit]);
        }
        if (whole < 8) {
            int blank = memcmp(data + sim.cut_bytes, ONES, UNIT) == 0;
            untouched += !programmed[whole];
            torn_blank += programmed[whole] && blank;
            torn_garbage += programmed[whole] && !blank;
        }
    }
    CHECK_EQUAL(lengths, 0x1FF);
    CHECK(untouched > 10 && torn_blank > 10 && torn_garbage > 10);
}

static void test_a_cut_erase_leaves_old_bytes_blank_ones_and_garbage_that_may_not_be_programmed(void)
{
    uint32_t old = 0, blank = 0, garbage = 0;

    for (uint32_t seed = 0; seed < 50; seed++) {
        static const uint8_t ZEROS[UNIT];
        flash_sim_t sim;
        whir_flash_t *flash = start(&sim);

        for (uint32_t at = 0; at < SECTOR; at += UNIT) {
            CHECK_EQUAL(flash->write(flash, at, ZEROS, UNIT), 0);
        }
        flash_sim_cut(&sim, 1, seed);
        CHECK_EQUAL(flash->erase(flash, 0), WHIR_ERR_FLASH);
        for (uint32_t at = 0; at < SECTOR; at += UNIT) {
            CHECK(programmed[at / UNIT]);
            old += memcmp(data + at, ZEROS, UNIT) == 0;
            blank += memcmp(data + at, ONES, UNIT) == 0;
            garbage += memcmp(data + at, ZEROS, UNIT) != 0 && memcmp(data + at, ONES, UNIT) != 0;
        }
    }
    CHECK(old > 100 && blank > 100 && garbage > 100);
}

static void test_the_same_seed_leaves_the_same_bytes(void)
{
    static uint8_t first[SIZE];
    uint8_t wanted[8 * UNIT] = {0};

    for (int run = 0; run < 2; run++) {
        flash_sim_t sim;
        whir_flash_t *flash = start(&sim);

        flash_sim_cut(&sim, 1, 42);
        CHECK_EQUAL(flash->write(flash, 0, wanted, sizeof wanted), WHIR_ERR_FLASH);
        CHECK(run == 0 || memcmp(first, data, SIZE) == 0);
        memcpy(first, data, SIZE);
    }
}

static void test_a_copy_goes_its_own_way(void)
{
    static uint8_t other_data[SIZE], other_programmed[SIZE / UNIT];
    flash_sim_t sim, other;
    whir_flash_t *flash = start(&sim);

    CHECK_EQUAL(flash->write(flash, 0, ONES, UNIT), 0);
    flash_sim_init(&other, other_data, other_programmed, SIZE, SECTOR, UNIT, 45);
    flash_sim_copy(&other, &sim);
    CHECK_EQUAL(other.seam.write(&other.seam, UNIT, ONES, UNIT), 0);
    CHECK_EQUAL(flash->write(flash, UNIT, ONES, UNIT), 0);
    CHECK_EQUAL(other.seam.write(&other.seam, 0, ONES, UNIT), WHIR_ERR_FLASH_WORN);
    CHECK(!sim.worn);
}

int main(void)
{
    RUN(test_a_unit_programmed_twice_is_an_error_that_stays_even_with_ones);
    RUN(test_an_erase_lets_a_unit_be_programmed_again);
    RUN(test_calls_outside_the_seams_contract_are_refused);
    RUN(test_after_a_cut_everything_fails_until_the_reboot);
    RUN(test_a_cut_write_leaves_a_prefix_and_at_most_one_torn_unit_some_reading_as_blank);
    RUN(test_a_cut_erase_leaves_old_bytes_blank_ones_and_garbage_that_may_not_be_programmed);
    RUN(test_the_same_seed_leaves_the_same_bytes);
    RUN(test_a_copy_goes_its_own_way);
    return 0;
}
