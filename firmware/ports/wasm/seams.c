#define WHIR_PORT_VERSION 2 /* the seam that this port was written for */

#include "seams.h"

#include <string.h>

#include "sha256.h"
#include "wasm.h"

static uint8_t cells[WASM_FLASH_BYTES] __attribute__((aligned(16)));

static int inside(uint32_t address, uint32_t bytes)
{
    return bytes <= WASM_FLASH_BYTES && address <= WASM_FLASH_BYTES - bytes;
}

static int flash_read(whir_flash_t *flash, uint32_t address, void *buffer, uint32_t bytes)
{
    (void)flash;
    if (!inside(address, bytes)) {
        return WHIR_ERR_ARG;
    }
    memcpy(buffer, cells + address, bytes);
    return 0;
}

/* Programming clears bits; what was programmed before must have been erased. */
static int flash_write(whir_flash_t *flash, uint32_t address, const void *buffer, uint32_t bytes)
{
    const uint8_t *from = buffer;

    if (!inside(address, bytes) || address % flash->write_size != 0 || bytes % flash->write_size != 0) {
        return WHIR_ERR_ARG;
    }
    for (uint32_t i = 0; i < bytes; i++) {
        cells[address + i] &= from[i];
    }
    return memcmp(cells + address, from, bytes) == 0 ? 0 : WHIR_ERR_FLASH_WORN;
}

static int flash_erase(whir_flash_t *flash, uint32_t address)
{
    if (!inside(address, flash->sector_size) || address % flash->sector_size != 0) {
        return WHIR_ERR_ARG;
    }
    memset(cells + address, 0xFF, flash->sector_size);
    return 0;
}

static const uint8_t *flash_map(whir_flash_t *flash, uint32_t address, uint32_t bytes)
{
    (void)flash;
    return inside(address, bytes) ? cells + address : NULL;
}

whir_flash_t *wasm_flash(void)
{
    static whir_flash_t flash = {.size = WASM_FLASH_BYTES,
                                 .sector_size = WASM_SECTOR,
                                 .write_size = 16,
                                 .read = flash_read,
                                 .write = flash_write,
                                 .erase = flash_erase,
                                 .map = flash_map};

    return &flash;
}

void wasm_flash_wipe(void)
{
    memset(cells, 0xFF, sizeof cells);
}

static sha256_t sha;
static struct {
    uint32_t key_id;
    uint8_t known;
    uint8_t signed_digest[96];
} vouchers[WASM_VOUCHERS];
static uint32_t next_voucher;

static int crypto_init(whir_crypto_t *crypto)
{
    (void)crypto;
    sha256_init(&sha);
    return 0;
}

static int crypto_update(whir_crypto_t *crypto, const void *data, uint32_t bytes)
{
    (void)crypto;
    sha256_update(&sha, data, bytes);
    return 0;
}

static int crypto_final(whir_crypto_t *crypto, uint8_t digest[32])
{
    (void)crypto;
    sha256_final(&sha, digest);
    return 0;
}

static int32_t crypto_verify(whir_crypto_t *crypto, uint32_t key_id, const uint8_t digest[32], const uint8_t sig[64])
{
    (void)crypto;
    for (uint32_t i = 0; i < WASM_VOUCHERS; i++) {
        if (vouchers[i].known && vouchers[i].key_id == key_id && memcmp(vouchers[i].signed_digest, digest, 32) == 0 &&
            memcmp(vouchers[i].signed_digest + 32, sig, 64) == 0) {
            return WHIR_CRYPTO_VALID;
        }
    }
    return WHIR_CRYPTO_INVALID;
}

whir_crypto_t *wasm_crypto(void)
{
    static whir_crypto_t crypto = {
        .sha256_init = crypto_init, .sha256_update = crypto_update, .sha256_final = crypto_final, .p256_verify = crypto_verify};

    return &crypto;
}

void wasm_crypto_vouch(uint32_t key_id, const uint8_t signed_digest[96])
{
    vouchers[next_voucher].key_id = key_id;
    vouchers[next_voucher].known = 1;
    memcpy(vouchers[next_voucher].signed_digest, signed_digest, sizeof vouchers[0].signed_digest);
    next_voucher = (next_voucher + 1) % WASM_VOUCHERS;
}
