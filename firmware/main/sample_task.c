#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "tasks.h"
#include "whir_board.h"

#define STACK_BYTES 4096

static whir_sampler_t sampler;
static QueueHandle_t queue;
static volatile uint8_t unwanted;

static void run(void *argument)
{
    whir_block_t block = {0};

    (void)esp_task_wdt_add(NULL);
    for (;;) {
        uint32_t wait_ms = whir_sampler_turn(&sampler, !unwanted, &block, (uint64_t)esp_timer_get_time());
        (void)esp_task_wdt_reset();
        if (block.count > 0) {
            /* the node is behind: what it does not take is a gap */
            block.gap = xQueueSend(queue, &block, 0) != pdTRUE;
        }
        if (wait_ms > 0) {
            (void)ulTaskNotifyTake(pdTRUE, pdMS_TO_TICKS(wait_ms));
        }
    }
}

void whir_sample_start(whir_accel_t *accel, const whir_accel_settings_t *settings, QueueHandle_t blocks)
{
    static StaticTask_t task;
    static StackType_t stack[STACK_BYTES];

    whir_sampler_init(&sampler, accel, settings);
    queue = blocks;
    TaskHandle_t handle = xTaskCreateStaticPinnedToCore(run, "sample", STACK_BYTES, NULL, configMAX_PRIORITIES - 4, stack,
                                                        &task, WHIR_BOARD_LAST_CORE);
    configASSERT(handle != NULL && whir_esp32_interrupt_init(handle) == 0);
}

int whir_sample_want(whir_wiring_t *wiring, int wanted)
{
    unwanted = !wanted;
    return sampler.rests || queue == NULL; /* or there is no sensor */
}

void whir_sample_sleep(whir_wiring_t *wiring, const whir_node_t *node, uint32_t ms, int motion)
{
    if (motion && whir_accel_watch(sampler.accel) == 0) {
        whir_esp32_wake_at_motion();
    }
    whir_esp32_sleep(node, ms);
}

void whir_sample_health(whir_health_t *health)
{
    health->overruns = sampler.overruns;
    health->reopens = sampler.reopens;
}
