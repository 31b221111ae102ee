#include "flash_sim.h"

#include <stddef.h>
#include <string.h>

#include "whir/contract.h"

#define VENDOR_POWER_OFF 1 /* our own `vendor` code: there is none underneath */

static uint32_t random_next(flash_sim_t *sim)
{
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 17;
    sim->random ^= sim->random << 5;
    return sim->random;
}

static int power_check(flash_sim_t *sim)
{
    sim->seam.vendor_error = sim->off ? VENDOR_POWER_OFF : 0;
    return sim->worn ? WHIR_ERR_FLASH_WORN : sim->off ? WHIR_ERR_FLASH : 0;
}

static int range_ok(const whir_flash_t *flash, uint32_t address, uint32_t bytes)
{
    return address <= flash->size && bytes <= flash->size - address;
}

/* Counts an operation; 1 when the power goes in it. */
static int operation_is_cut(flash_sim_t *sim)
{
    sim->operations++;
    sim->off = sim->operations == sim->cut_at;
    sim->cut_bytes = 0;
    return sim->off;
}

/* The unit that was being programmed when the power went. */
static void unit_tear(flash_sim_t *sim, uint32_t address, const uint8_t *wanted)
{
    uint32_t kind = random_next(sim) % 4;

    if (kind == 0) {
        return; /* not begun */
    }
    sim->programmed[address / sim->seam.write_size] = 1;
    for (uint32_t i = 0; i < sim->seam.write_size && kind != 1 /* begun, yet reads as blank */; i++) {
        uint8_t noise = (uint8_t)(random_next(sim) >> 8);
        sim->data[address + i] = kind == 2 ? wanted[i] | noise : noise;
    }
}

static int sim_read(whir_flash_t *flash, uint32_t address, void *buffer, uint32_t bytes)
{
    flash_sim_t *sim = (flash_sim_t *)flash;
    int err = power_check(sim);

    if (err < 0) {
        return err;
    }
    if (!range_ok(flash, address, bytes)) {
        return WHIR_ERR_ARG;
    }
    memcpy(buffer, sim->data + address, bytes);
    return 0;
}

static int sim_write(whir_flash_t *flash, uint32_t address, const void *buffer, uint32_t bytes)
{
    flash_sim_t *sim = (flash_sim_t *)flash;
    uint32_t unit = flash->write_size, units = bytes / unit, whole = units;
    const uint8_t *source = buffer;
    int err = power_check(sim);
    int cut;

    if (err < 0) {
        return err;
    }
    if (!range_ok(flash, address, bytes) || address % unit != 0 || bytes == 0 || bytes % unit != 0 ||
        bytes > WHIR_FLASH_WRITE_CALL_MAX_BYTES || address / flash->sector_size != (address + bytes - 1) / flash->sector_size) {
        return WHIR_ERR_ARG;
    }
    for (uint32_t i = 0; i < units; i++) {
        if (sim->programmed[address / unit + i]) {
            sim->worn = 1;
            return WHIR_ERR_FLASH_WORN;
        }
    }
    cut = operation_is_cut(sim);
    if (cut) {
        whole = random_next(sim) % (units + 1);
        sim->cut_bytes = whole * unit;
    }
    memcpy(sim->data + address, source, whole * unit);
    memset(sim->programmed + address / unit, 1, whole);
    if (whole < units) {
        unit_tear(sim, address + whole * unit, source + whole * unit);
    }
    return cut ? WHIR_ERR_FLASH : 0;
}

static int sim_erase(whir_flash_t *flash, uint32_t address)
{
    flash_sim_t *sim = (flash_sim_t *)flash;
    uint32_t unit = flash->write_size;
    int err = power_check(sim);

    if (err < 0) {
        return err;
    }
    if (!range_ok(flash, address, flash->sector_size) || address % flash->sector_size != 0) {
        return WHIR_ERR_ARG;
    }
    sim->erased_ms += sim->erase_ms;
    if (operation_is_cut(sim)) {
        uint32_t share = random_next(sim) % 257; /* of the units that were reached, in 256ths */

        for (uint32_t at = address; at < address + flash->sector_size; at += unit) {
            uint32_t dice = random_next(sim) >> 8;
            sim->programmed[at / unit] = 1;
            if (dice % 256 >= share) {
                continue;
            }
            for (uint32_t i = 0; i < unit; i++) {
                sim->data[at + i] = dice & 0x100 ? 0xFF : sim->data[at + i] | (uint8_t)(random_next(sim) >> 8);
            }
        }
        return WHIR_ERR_FLASH;
    }
    memset(sim->data + address, 0xFF, flash->sector_size);
    memset(sim->programmed + address / unit, 0, flash->sector_size / unit);
    return 0;
}

static const uint8_t *sim_map(whir_flash_t *flash, uint32_t address, uint32_t bytes)
{
    flash_sim_t *sim = (flash_sim_t *)flash;

    return power_check(sim) == 0 && range_ok(flash, address, bytes) ? sim->data + address : NULL;
}

void flash_sim_init(flash_sim_t *sim, uint8_t *data, uint8_t *programmed, uint32_t size, uint32_t sector_size,
                    uint32_t write_size, uint32_t erase_ms)
{
    memset(sim, 0, sizeof *sim);
    sim->seam = (whir_flash_t){.ctx = sim,
                               .size = size,
                               .sector_size = sector_size,
                               .write_size = write_size,
                               .read = sim_read,
                               .write = sim_write,
                               .erase = sim_erase,
                               .map = sim_map};
    sim->data = data;
    sim->programmed = programmed;
    sim->erase_ms = erase_ms;
    sim->random = 1;
}

void flash_sim_blank(flash_sim_t *sim)
{
    memset(sim->data, 0xFF, sim->seam.size);
    memset(sim->programmed, 0, sim->seam.size / sim->seam.write_size);
}

void flash_sim_soil(flash_sim_t *sim, uint32_t seed)
{
    sim->random = seed | 1;
    for (uint32_t i = 0; i < sim->seam.size; i++) {
        sim->data[i] = (uint8_t)(random_next(sim) >> 8);
    }
    memset(sim->programmed, 1, sim->seam.size / sim->seam.write_size);
}

void flash_sim_cut(flash_sim_t *sim, uint64_t operation, uint32_t seed)
{
    sim->cut_at = operation == 0 ? 0 : sim->operations + operation;
    sim->random = (seed * 2654435761u) | 1; /* spreads small seeds; the generator must not start at 0 */
}

void flash_sim_reboot(flash_sim_t *sim)
{
    sim->off = 0;
    sim->cut_at = 0;
}

void flash_sim_copy(flash_sim_t *to, const flash_sim_t *from)
{
    uint8_t *data = to->data, *programmed = to->programmed;

    memcpy(data, from->data, from->seam.size);
    memcpy(programmed, from->programmed, from->seam.size / from->seam.write_size);
    *to = *from;
    to->seam.ctx = to;
    to->data = data;
    to->programmed = programmed;
}
