#include "fork_flash.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "whir/contract.h"

static int fork_read(whir_flash_t *seam, uint32_t address, void *buffer, uint32_t bytes)
{
    flash_sim_t *sim = &((fork_flash_t *)seam)->sim;

    return sim->seam.read(&sim->seam, address, buffer, bytes);
}

static const uint8_t *fork_map(whir_flash_t *seam, uint32_t address, uint32_t bytes)
{
    flash_sim_t *sim = &((fork_flash_t *)seam)->sim;

    return sim->seam.map(&sim->seam, address, bytes);
}

/* A copy in which the next operation will be cut. */
static flash_sim_t *cut_copy(fork_flash_t *flash, uint32_t seed)
{
    flash_sim_copy(&flash->below->sim, &flash->sim);
    flash_sim_cut(&flash->below->sim, 1, (uint32_t)flash->operations * 64 + seed);
    flash->cuts++;
    return &flash->below->sim;
}

static void resume(fork_flash_t *flash)
{
    CHECK(flash->below->sim.off);
    flash_sim_reboot(&flash->below->sim);
    flash->after_cut(flash->below, flash->context);
    CHECK(!flash->below->sim.worn);
}

static int fork_write(whir_flash_t *seam, uint32_t address, const void *buffer, uint32_t bytes)
{
    fork_flash_t *flash = (fork_flash_t *)seam;
    int err;

    flash->operations++;
    for (uint32_t seed = 0; flash->below != NULL && seed < flash->seeds; seed++) {
        flash_sim_t *copy = cut_copy(flash, seed);
        CHECK_EQUAL(copy->seam.write(&copy->seam, address, buffer, bytes), WHIR_ERR_FLASH);
        resume(flash);
    }
    err = flash->sim.seam.write(&flash->sim.seam, address, buffer, bytes);
    CHECK_EQUAL(err, 0);
    return err;
}

static int fork_erase(whir_flash_t *seam, uint32_t address)
{
    fork_flash_t *flash = (fork_flash_t *)seam;
    int err;

    flash->operations++;
    for (uint32_t seed = 0; flash->below != NULL && seed < flash->seeds; seed++) {
        flash_sim_t *copy = cut_copy(flash, seed);
        CHECK_EQUAL(copy->seam.erase(&copy->seam, address), WHIR_ERR_FLASH);
        resume(flash);
    }
    err = flash->sim.seam.erase(&flash->sim.seam, address);
    CHECK_EQUAL(err, 0);
    return err;
}

void fork_flash_make(fork_flash_t *flash, uint32_t depth, uint32_t size, uint32_t sector_size, uint32_t write_size)
{
    memset(flash, 0, depth * sizeof *flash);
    for (uint32_t i = 0; i < depth; i++) {
        uint8_t *data = malloc(size), *programmed = malloc(size / write_size);

        CHECK(data != NULL && programmed != NULL);
        flash_sim_init(&flash[i].sim, data, programmed, size, sector_size, write_size, 45);
        flash[i].seam = (whir_flash_t){.size = size,
                                       .sector_size = sector_size,
                                       .write_size = write_size,
                                       .read = fork_read,
                                       .write = fork_write,
                                       .erase = fork_erase,
                                       .map = fork_map};
        flash[i].below = i + 1 < depth ? &flash[i + 1] : NULL;
    }
    flash_sim_soil(&flash[0].sim, 1);
}

void fork_flash_free(fork_flash_t *flash, uint32_t depth)
{
    for (uint32_t i = 0; i < depth; i++) {
        free(flash[i].sim.data);
        free(flash[i].sim.programmed);
    }
}
