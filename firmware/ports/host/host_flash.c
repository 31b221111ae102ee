#define _DEFAULT_SOURCE /* flock, ftruncate */

#include "host_flash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flash_sim.h"
#include "seams.h"
#include "whir/bytes.h"
#include "whir/contract.h"

/* File: magic, size, sector size, write size (u32 each, little-endian), then the data, then one flag per write unit. */
#define FILE_MAGIC 0x31534C46u /* "FLS1" */
#define FILE_HEADER_BYTES 16u

struct host_flash {
    flash_sim_t sim;
    uint8_t *memory; /* the file's image */
    size_t memory_bytes;
    int file; /* -1 = in memory */
};

static int power_of_two(uint32_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

static int geometry_ok(uint32_t size, uint32_t sector_size, uint32_t write_size)
{
    return power_of_two(sector_size) && power_of_two(write_size) && write_size <= WHIR_FLASH_WRITE_SIZE_MAX_BYTES &&
           sector_size >= WHIR_FLASH_WRITE_CALL_MAX_BYTES && size != 0 && size % sector_size == 0;
}

/* The file's size: 0 = it was just made. */
static int64_t file_claim(int file)
{
    struct stat status;

    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        errno = EBUSY;
        return -1;
    }
    return fstat(file, &status) == 0 ? (int64_t)status.st_size : -1;
}

/* Maps file or memory; returns 1 when it is new, 0 when it holds a flash, -1 when it cannot. */
static int memory_get(host_flash_t *flash, const char *path)
{
    int64_t held = 0;

    flash->file = -1;
    if (path != NULL) {
        flash->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        held = flash->file < 0 ? -1 : file_claim(flash->file);
        if (held > 0 && (size_t)held != flash->memory_bytes) {
            errno = EINVAL;
            held = -1;
        }
        if (held < 0 || (held == 0 && ftruncate(flash->file, (off_t)flash->memory_bytes) != 0)) {
            return -1;
        }
    }
    flash->memory = mmap(NULL, flash->memory_bytes, PROT_READ | PROT_WRITE,
                         flash->file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, flash->file, 0);
    if (flash->memory == MAP_FAILED) {
        flash->memory = NULL;
        return -1;
    }
    return held == 0;
}

host_flash_t *host_flash_open(const char *path, uint32_t size, uint32_t sector_size, uint32_t write_size, uint32_t erase_ms)
{
    uint8_t header[FILE_HEADER_BYTES];
    host_flash_t *flash;
    int made;

    if (!geometry_ok(size, sector_size, write_size)) {
        errno = EINVAL;
        return NULL;
    }
    flash = calloc(1, sizeof *flash);
    if (flash == NULL) {
        return NULL;
    }
    whir_put_le32(header, FILE_MAGIC);
    whir_put_le32(header + 4, size);
    whir_put_le32(header + 8, sector_size);
    whir_put_le32(header + 12, write_size);
    flash->memory_bytes = FILE_HEADER_BYTES + (size_t)size + size / write_size;
    made = memory_get(flash, path);
    if (made < 0) {
        int reason = errno;
        host_flash_close(flash);
        errno = reason;
        return NULL;
    }
    flash_sim_init(&flash->sim, flash->memory + FILE_HEADER_BYTES, flash->memory + FILE_HEADER_BYTES + size, size, sector_size,
                   write_size, erase_ms);
    if (made) {
        flash_sim_blank(&flash->sim);
        memcpy(flash->memory, header, sizeof header);
    } else if (memcmp(flash->memory, header, sizeof header) != 0) {
        host_flash_close(flash);
        errno = EINVAL;
        return NULL;
    }
    return flash;
}

void host_flash_close(host_flash_t *flash)
{
    if (flash == NULL) {
        return;
    }
    if (flash->memory != NULL) {
        munmap(flash->memory, flash->memory_bytes);
    }
    if (flash->file >= 0) {
        close(flash->file);
    }
    free(flash);
}

void host_flash_cut(host_flash_t *flash, uint64_t operation, uint32_t seed)
{
    flash_sim_cut(&flash->sim, operation, seed);
}

int host_flash_is_off(const host_flash_t *flash)
{
    return flash->sim.off;
}

void host_flash_reboot(host_flash_t *flash)
{
    flash_sim_reboot(&flash->sim);
}

int host_flash_is_worn(const host_flash_t *flash)
{
    return flash->sim.worn;
}

uint64_t host_flash_operations(const host_flash_t *flash)
{
    return flash->sim.operations;
}

uint32_t host_flash_cut_bytes(const host_flash_t *flash)
{
    return flash->sim.cut_bytes;
}

uint64_t host_flash_erased_ms(const host_flash_t *flash)
{
    return flash->sim.erased_ms;
}

whir_flash_t *host_flash_seam(host_flash_t *flash)
{
    return &flash->sim.seam;
}
