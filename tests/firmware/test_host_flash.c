/* The simulator in a file: what one process programmed is programmed for the next. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "seams.h"
#include "whir/contract.h"

#define SIZE 16384u
#define SECTOR 4096u
#define UNIT 16u

static const char PATH[] = "test_host_flash.bin";

static host_flash_t *file_open(void)
{
    host_flash_t *flash = host_flash_open(PATH, SIZE, SECTOR, UNIT, 45);

    CHECK(flash != NULL);
    return flash;
}

static void test_data_and_programmed_units_outlive_the_process(void)
{
    uint8_t unit[UNIT] = "whir", read[UNIT];
    host_flash_t *flash;
    whir_flash_t *seam;

    unlink(PATH);
    flash = file_open();
    seam = host_flash_seam(flash);
    CHECK_EQUAL(seam->write(seam, SECTOR, unit, UNIT), 0);
    host_flash_close(flash);
    flash = file_open();
    seam = host_flash_seam(flash);
    CHECK_EQUAL(seam->read(seam, SECTOR, read, UNIT), 0);
    CHECK(memcmp(unit, read, UNIT) == 0);
    CHECK_EQUAL(seam->write(seam, 2 * SECTOR, unit, UNIT), 0);
    CHECK_EQUAL(host_flash_operations(flash), 1);
    CHECK_EQUAL(seam->write(seam, SECTOR, unit, UNIT), WHIR_ERR_FLASH_WORN);
    CHECK(host_flash_is_worn(flash));
    host_flash_close(flash);
}

static void test_a_file_in_use_or_of_another_geometry_is_refused(void)
{
    host_flash_t *flash;

    unlink(PATH);
    flash = file_open();
    CHECK(host_flash_open(PATH, SIZE, SECTOR, UNIT, 45) == NULL && errno == EBUSY);
    host_flash_close(flash);
    CHECK(host_flash_open(PATH, 2 * SIZE, SECTOR, UNIT, 45) == NULL && errno == EINVAL);
    CHECK(host_flash_open(PATH, SIZE, 2 * SECTOR, UNIT, 45) == NULL && errno == EINVAL);
    CHECK(host_flash_open("no/such/folder", SIZE, SECTOR, UNIT, 45) == NULL && errno == ENOENT);
}

static void test_a_geometry_that_no_flash_has_is_refused(void)
{
    CHECK(host_flash_open(NULL, SIZE, SECTOR, 64, 45) == NULL && errno == EINVAL);
    CHECK(host_flash_open(NULL, SIZE, SECTOR, 3, 45) == NULL && errno == EINVAL);
    CHECK(host_flash_open(NULL, SIZE + 1, SECTOR, UNIT, 45) == NULL && errno == EINVAL);
    CHECK(host_flash_open(NULL, 0, SECTOR, UNIT, 45) == NULL && errno == EINVAL);
}

static void test_a_cut_is_told_and_ends_with_the_reboot(void)
{
    uint8_t page[256] = {0};
    host_flash_t *flash = host_flash_open(NULL, SIZE, SECTOR, UNIT, 45);
    whir_flash_t *seam = host_flash_seam(flash);

    host_flash_cut(flash, 2, 5);
    CHECK_EQUAL(seam->erase(seam, 0), 0);
    CHECK_EQUAL(host_flash_erased_ms(flash), 45);
    CHECK_EQUAL(host_flash_is_off(flash), 0);
    CHECK_EQUAL(seam->write(seam, 0, page, sizeof page), WHIR_ERR_FLASH);
    CHECK_EQUAL(host_flash_is_off(flash), 1);
    CHECK(host_flash_cut_bytes(flash) <= sizeof page && host_flash_cut_bytes(flash) % UNIT == 0);
    host_flash_reboot(flash);
    CHECK_EQUAL(host_flash_is_off(flash), 0);
    CHECK_EQUAL(seam->erase(seam, 0), 0);
    host_flash_close(flash);
}

int main(void)
{
    RUN(test_data_and_programmed_units_outlive_the_process);
    RUN(test_a_file_in_use_or_of_another_geometry_is_refused);
    RUN(test_a_geometry_that_no_flash_has_is_refused);
    RUN(test_a_cut_is_told_and_ends_with_the_reboot);
    return unlink(PATH);
}
