#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "tasks.h"
#include "whir_board.h"

#define STACK_BYTES 4096
#define REOPEN_MS 1000
#define REST_MS 50

static struct {
    whir_accel_t *accel;
    whir_accel_settings_t settings;
    QueueHandle_t blocks;
    volatile uint32_t overruns, reopens;
    volatile uint8_t unwanted, rests;
} own;

/* Until it works again; the core says meanwhile that there is no sensor. */
static void reopen(void)
{
    while (whir_accel_open(own.accel, own.accel->part, own.accel->bus, &own.settings) < 0) {
        (void)esp_task_wdt_reset();
        vTaskDelay(pdMS_TO_TICKS(REOPEN_MS));
    }
}

/* Stands by as long as nobody wants samples. */
static void rest(void)
{
    (void)whir_accel_stop(own.accel);
    own.rests = 1;
    while (own.unwanted) {
        (void)esp_task_wdt_reset();
        vTaskDelay(pdMS_TO_TICKS(REST_MS));
    }
    own.rests = 0;
    reopen();
}

static void run(void *argument)
{
    whir_block_t block = {0};

    (void)esp_task_wdt_add(NULL);
    for (;;) {
        if (own.unwanted) {
            rest();
        }
        int count = whir_accel_read(own.accel, block.samples[0], WHIR_ACCEL_BURST, (uint64_t)esp_timer_get_time());
        (void)esp_task_wdt_reset();
        if (count > 0) {
            block.count = (uint8_t)count;
            /* the node is behind: what it does not take is a gap */
            block.gap = xQueueSend(own.blocks, &block, 0) != pdTRUE;
        } else if (count < 0) {
            block.gap = 1;
            if (count == WHIR_ERR_SENSOR_OVERRUN) {
                own.overruns = own.overruns + 1;
            } else {
                own.reopens = own.reopens + 1;
                reopen();
            }
        }
        if (count < WHIR_ACCEL_BURST) { /* the interrupt is a hint: a lost one costs the time to half the FIFO */
            uint32_t span_ms = whir_accel_overrun_us(own.accel) / 2000;
            (void)ulTaskNotifyTake(pdTRUE, pdMS_TO_TICKS(span_ms > 0 ? span_ms : 1));
        }
    }
}

void whir_sample_start(whir_accel_t *accel, const whir_accel_settings_t *settings, QueueHandle_t blocks)
{
    static StaticTask_t task;
    static StackType_t stack[STACK_BYTES];

    own.accel = accel;
    own.settings = *settings;
    own.blocks = blocks;
    TaskHandle_t handle = xTaskCreateStaticPinnedToCore(run, "sample", STACK_BYTES, NULL, configMAX_PRIORITIES - 4, stack,
                                                        &task, WHIR_BOARD_LAST_CORE);
    configASSERT(handle != NULL && whir_esp32_interrupt_init(handle) == 0);
}

void whir_sample_health(whir_health_t *health)
{
    health->overruns = own.overruns;
    health->reopens = own.reopens;
}

void whir_sample_want(int samples)
{
    own.unwanted = !samples;
}

int whir_sample_rests(void)
{
    return own.rests || own.blocks == NULL; /* or there is no sensor */
}
