#include <stdio.h>

#include "esp_core_dump.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "port.h"

#define TASKS_MAX 24

const char *whir_esp32_reset_reason(void)
{
    static const char *const NAMES[] = {
        [ESP_RST_POWERON] = "power-on",  [ESP_RST_SW] = "software",       [ESP_RST_PANIC] = "panic",
        [ESP_RST_INT_WDT] = "watchdog",  [ESP_RST_TASK_WDT] = "watchdog", [ESP_RST_WDT] = "watchdog",
        [ESP_RST_BROWNOUT] = "brownout", [ESP_RST_DEEPSLEEP] = "wake-up",
    };
    unsigned reason = (unsigned)esp_reset_reason();

    if (reason == ESP_RST_DEEPSLEEP && whir_esp32_by_motion()) {
        return "motion";
    }
    return reason < sizeof NAMES / sizeof NAMES[0] && NAMES[reason] != NULL ? NAMES[reason] : "other";
}

const char *whir_esp32_crash(void)
{
    static esp_core_dump_summary_t dump;
    static char text[200];
    char reason[96] = "";

    if (esp_core_dump_image_check() != ESP_OK || esp_core_dump_get_summary(&dump) != ESP_OK) {
        return NULL;
    }
    (void)esp_core_dump_get_panic_reason(reason, sizeof reason);
    (void)snprintf(text, sizeof text, "task %.16s at 0x%08lx, application %.16s: %s", dump.exc_task, (unsigned long)dump.exc_pc,
                   (const char *)dump.app_elf_sha256, reason);
    return text;
}

void whir_esp32_crash_told(void)
{
    (void)esp_core_dump_image_erase();
}

void whir_esp32_health(whir_health_t *health)
{
    static TaskStatus_t tasks[TASKS_MAX];
    UBaseType_t count = uxTaskGetSystemState(tasks, TASKS_MAX, NULL);

    health->heap_min = esp_get_minimum_free_heap_size();
    for (UBaseType_t i = 0; i < count; i++) {
        if (tasks[i].usStackHighWaterMark < health->stack_min) { /* begins as unknown, which is the largest */
            health->stack_min = tasks[i].usStackHighWaterMark;
            health->stack_task = tasks[i].pcTaskName;
        }
    }
}
