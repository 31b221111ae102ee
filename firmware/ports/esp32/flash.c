#include "esp_partition.h"
#include "port.h"

#define SECTOR_BYTES 4096u
/* One format for plain and encrypted flash: the ESP32 encrypts 32 bytes at a time. */
#define WRITE_BYTES 32u

enum { MODEL_0, MODEL_1, SPOOL, STATE, PARTITIONS };
static const char *const LABELS[PARTITIONS] = {"model_0", "model_1", "spool", "state"};

static struct {
    const esp_partition_t *partition;
    const uint8_t *mapped; /* models only */
} parts[PARTITIONS];

/* The partition in which the range lies; NULL: in none. */
static const esp_partition_t *find(uint32_t at, uint32_t bytes, int *index)
{
    for (int i = 0; i < PARTITIONS; i++) {
        const esp_partition_t *p = parts[i].partition;
        if (at >= p->address && bytes <= p->size && at - p->address <= p->size - bytes) {
            *index = i;
            return p;
        }
    }
    return NULL;
}

static int told(whir_flash_t *flash, esp_err_t err)
{
    flash->vendor_error = err;
    return err == ESP_OK ? 0 : WHIR_ERR_FLASH;
}

static int read_flash(whir_flash_t *flash, uint32_t address, void *buffer, uint32_t bytes)
{
    int i;
    const esp_partition_t *p = find(address, bytes, &i);

    return p == NULL ? WHIR_ERR_ARG : told(flash, esp_partition_read(p, address - p->address, buffer, bytes));
}

static int write_flash(whir_flash_t *flash, uint32_t address, const void *buffer, uint32_t bytes)
{
    int i;
    const esp_partition_t *p = find(address, bytes, &i);

    return p == NULL ? WHIR_ERR_ARG : told(flash, esp_partition_write(p, address - p->address, buffer, bytes));
}

static int erase_flash(whir_flash_t *flash, uint32_t address)
{
    int i;
    const esp_partition_t *p = find(address, SECTOR_BYTES, &i);

    return p == NULL ? WHIR_ERR_ARG : told(flash, esp_partition_erase_range(p, address - p->address, SECTOR_BYTES));
}

static const uint8_t *map_flash(whir_flash_t *flash, uint32_t address, uint32_t bytes)
{
    int i;
    const esp_partition_t *p = find(address, bytes, &i);

    return p == NULL || parts[i].mapped == NULL ? NULL : parts[i].mapped + (address - p->address);
}

int whir_esp32_flash_init(whir_flash_t *flash, whir_node_layout_t *layout)
{
    esp_partition_mmap_handle_t handle; /* mapped for good */

    for (int i = 0; i < PARTITIONS; i++) {
        const esp_partition_t *p = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, LABELS[i]);
        if (p == NULL) {
            return WHIR_ERR_FLASH;
        }
        parts[i].partition = p;
        if (i <= MODEL_1 &&
            esp_partition_mmap(p, 0, p->size, ESP_PARTITION_MMAP_DATA, (const void **)&parts[i].mapped, &handle) != ESP_OK) {
            return WHIR_ERR_FLASH;
        }
    }
    *flash = (whir_flash_t){.size = parts[STATE].partition->address + parts[STATE].partition->size,
                            .sector_size = SECTOR_BYTES,
                            .write_size = WRITE_BYTES,
                            .read = read_flash,
                            .write = write_flash,
                            .erase = erase_flash,
                            .map = map_flash};
    whir_node_layout(layout, SECTOR_BYTES, parts[STATE].partition->address, parts[SPOOL].partition->address,
                     parts[SPOOL].partition->size);
    layout->slot_base[0] = parts[MODEL_0].partition->address;
    layout->slot_base[1] = parts[MODEL_1].partition->address;
    layout->slot_bytes = parts[MODEL_0].partition->size;
    return 0;
}
