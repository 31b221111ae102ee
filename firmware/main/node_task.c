#include "esp_task_wdt.h"
#include "tasks.h"

#define STEP_MS 20
#define STEP_SAMPLES 4 /* blocks between two steps */

static void push(whir_node_t *node, whir_factory_t *factory, const whir_block_t *block)
{
    uint64_t now = whir_esp32_now_ms();

    if (block->gap) {
        whir_node_gap(node);
    }
    for (uint8_t i = 0; i < block->count; i++) {
        (void)whir_node_push(node, block->samples[i], now); /* an error is in the node's verdict */
        whir_factory_push(factory, block->samples[i]);
    }
}

static void serve_link(whir_node_t *node)
{
    static char json[WHIR_MESSAGE_MESSAGE_MAX_BYTES];
    static uint8_t command[WHIR_MESSAGE_COMMAND_MAX_BYTES];
    static int was_connected;
    int connected = whir_esp32_link_connected();
    uint64_t unix_ms = whir_esp32_clock_set();
    uint32_t bytes;

    if (unix_ms != 0) {
        whir_node_clock(node, unix_ms, whir_esp32_now_ms());
    }
    if (whir_esp32_link_wants_will()) {
        int length = whir_node_will(node, json, sizeof json);
        whir_esp32_link_will(json, length < 0 ? 0u : (uint32_t)length);
    }
    if (connected != was_connected) {
        was_connected = connected;
        whir_node_connected(node, connected, whir_esp32_now_ms());
    }
    bytes = whir_esp32_link_command(command, sizeof command);
    if (bytes > 0) {
        (void)whir_node_command(node, command, bytes, whir_esp32_now_ms()); /* the answer is sent */
    }
}

static void serve_fetch(whir_node_t *node)
{
    whir_esp32_piece_t piece;
    int err;

    if (!whir_esp32_fetch_piece(&piece)) {
        return;
    }
    err = piece.bytes > 0 ? whir_node_bundle_data(node, piece.data, piece.bytes, whir_esp32_now_ms())
                          : whir_node_bundle_end(node, piece.error, whir_esp32_now_ms());
    if (err != WHIR_ERR_BUSY) { /* then the same piece again after the next step */
        whir_esp32_fetch_answer(err);
    }
}

void whir_console_serve(whir_factory_t *factory)
{
    char line[WHIR_ESP32_QUESTION_BYTES];

    if (whir_esp32_console_question(line) > 0) {
        (void)whir_factory_ask(factory, line, whir_esp32_now_ms());
    }
    (void)whir_factory_step(factory, whir_esp32_now_ms());
}

/* Sensor, radio and sleep as the node wants them now. The link takes its leave before the radio goes. */
static void serve_power(const whir_node_t *node)
{
    static whir_node_use_t was = {1, 1, 0};
    whir_node_use_t use;

    whir_node_use(node, &use, whir_esp32_now_ms());
    whir_sample_want(use.sensor);
    whir_esp32_link_want(use.radio);
    if (use.radio != was.radio && (use.radio || !whir_esp32_link_connected())) {
        whir_esp32_wifi_radio(use.radio);
        was.radio = use.radio;
    }
    if (use.sleep_ms > 0 && !was.radio && whir_sample_rests()) {
        whir_esp32_sleep(node, use.sleep_ms);
    }
}

void whir_node_run(whir_node_t *node, whir_factory_t *factory, QueueHandle_t blocks)
{
    whir_block_t block;

    (void)esp_task_wdt_add(NULL);
    for (;;) {
        for (int i = 0; i < STEP_SAMPLES && xQueueReceive(blocks, &block, pdMS_TO_TICKS(STEP_MS)) == pdTRUE; i++) {
            push(node, factory, &block);
        }
        serve_link(node);
        serve_fetch(node);
        whir_console_serve(factory);
        whir_node_step(node, whir_esp32_now_ms());
        serve_power(node);
        (void)esp_task_wdt_reset();
    }
}
