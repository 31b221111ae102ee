#include "esp_ota_ops.h"
#include "port.h"

static esp_ota_handle_t handle;
static const esp_partition_t *target;

#define TOLD(err) ((err) == ESP_OK ? 0 : WHIR_ERR_FLASH)

/* Sector by sector as it is written: an erase of all of it would stop the node for seconds. */
static int begin(whir_firmware_slots_t *slots, uint32_t bytes)
{
    return TOLD(esp_ota_begin(target, OTA_WITH_SEQUENTIAL_WRITES, &handle));
}

static int write(whir_firmware_slots_t *slots, const void *data, uint32_t bytes)
{
    return TOLD(esp_ota_write(handle, data, bytes));
}

static int end(whir_firmware_slots_t *slots)
{
    return esp_ota_end(handle) == ESP_OK && esp_ota_set_boot_partition(target) == ESP_OK ? 0 : WHIR_ERR_FIRMWARE_IMAGE;
}

static void abort_it(whir_firmware_slots_t *slots)
{
    (void)esp_ota_abort(handle);
}

static int is_trial(whir_firmware_slots_t *slots)
{
    esp_ota_img_states_t state;

    return esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) == ESP_OK &&
           state == ESP_OTA_IMG_PENDING_VERIFY;
}

static int keep(whir_firmware_slots_t *slots)
{
    return TOLD(esp_ota_mark_app_valid_cancel_rollback());
}

static void go_back(whir_firmware_slots_t *slots)
{
    (void)esp_ota_mark_app_invalid_rollback_and_reboot();
}

void whir_esp32_firmware_init(whir_firmware_slots_t *slots)
{
    target = esp_ota_get_next_update_partition(NULL);
    *slots = (whir_firmware_slots_t){.slot_bytes = target == NULL ? 0 : target->size,
                                     .begin = begin,
                                     .write = write,
                                     .end = end,
                                     .abort = abort_it,
                                     .is_trial = is_trial,
                                     .keep = keep,
                                     .go_back = go_back};
}
