#include "esp_task_wdt.h"
#include "tasks.h"

#define STEP_MS 20
#define STEP_SAMPLES 4 /* blocks between two steps */

void whir_node_run(whir_loop_t *loop, whir_console_t *console, QueueHandle_t blocks)
{
    whir_block_t block;

    (void)esp_task_wdt_add(NULL);
    for (;;) {
        for (int i = 0; i < STEP_SAMPLES && xQueueReceive(blocks, &block, pdMS_TO_TICKS(STEP_MS)) == pdTRUE; i++) {
            whir_loop_push(loop, block.samples[0], block.count, block.gap, whir_esp32_now_ms());
        }
        whir_loop_step(loop, whir_esp32_now_ms());
        whir_esp32_console_serve(console);
        (void)esp_task_wdt_reset();
    }
}
