#include <stdatomic.h>
#include <stdio.h>

#include "esp_http_client.h"
#include "esp_random.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "freertos/task.h"
#include "port.h"
#include "whir/fetch.h"

#define STACK_BYTES 6144
#define TIMEOUT_MS 10000

static const whir_esp32_settings_t *settings;
static esp_http_client_handle_t client;
static atomic_int busy, offered, answer;
static SemaphoreHandle_t begin, answered;
static whir_piece_t piece;

static int http_open(whir_http_t *http, const char *url, uint32_t at)
{
    const esp_http_client_config_t config = {
        .url = url, .cert_pem = settings->trusted, .cert_len = settings->trusted_bytes, .timeout_ms = TIMEOUT_MS};
    char range[32];

    (void)snprintf(range, sizeof range, "bytes=%lu-", (unsigned long)at);
    client = esp_http_client_init(&config);
    return client != NULL && esp_http_client_set_header(client, "Range", range) == ESP_OK &&
                   esp_http_client_open(client, 0) == ESP_OK && esp_http_client_fetch_headers(client) >= 0
               ? esp_http_client_get_status_code(client)
               : WHIR_ERR_DOWNLOAD;
}

static int http_read(whir_http_t *http, void *buffer, uint32_t bytes_max)
{
    return esp_http_client_read(client, buffer, (int)bytes_max);
}

static void http_close(whir_http_t *http)
{
    if (client != NULL) {
        (void)esp_http_client_cleanup(client);
    }
}

/* Gives a piece to the node's task and waits for its answer. */
static int hand_over(whir_piece_t next)
{
    piece = next;
    offered = 1;
    (void)xSemaphoreTake(answered, portMAX_DELAY);
    return answer;
}

static int take(whir_fetch_t *d, const void *data, uint32_t bytes)
{
    return hand_over((whir_piece_t){.data = data, .bytes = bytes});
}

static whir_http_t http = {.open = http_open, .read = http_read, .close = http_close};
static whir_fetch_t of_bytes = {.take = take};

static void run(void *argument)
{
    int32_t wait_ms;

    for (;;) {
        (void)xSemaphoreTake(begin, portMAX_DELAY);
        while ((wait_ms = whir_fetch_step(&of_bytes, &http, esp_random())) != WHIR_FETCH_DONE) {
            vTaskDelay(pdMS_TO_TICKS(wait_ms));
        }
        (void)hand_over((whir_piece_t){.error = of_bytes.error});
        busy = 0;
    }
}

static int fetch(whir_link_t *link, const char *url, uint32_t bytes)
{
    int err = busy ? WHIR_ERR_BUSY : whir_fetch_begin(&of_bytes, url, bytes);

    if (err == 0) {
        busy = 1;
        (void)xSemaphoreGive(begin);
    }
    return err;
}

static const whir_piece_t *next_piece(whir_wiring_t *w)
{
    return offered ? &piece : NULL;
}

static void answer_piece(whir_wiring_t *w, int result)
{
    offered = 0;
    answer = result;
    (void)xSemaphoreGive(answered);
}

int whir_esp32_fetch_init(whir_link_t *link, whir_wiring_t *w, const whir_esp32_settings_t *s)
{
    static StaticTask_t task;
    static StackType_t stack[STACK_BYTES];
    static StaticSemaphore_t semaphores[2];

    settings = s;
    link->fetch = fetch;
    w->piece = next_piece;
    w->answer = answer_piece;
    begin = xSemaphoreCreateBinaryStatic(&semaphores[0]);
    answered = xSemaphoreCreateBinaryStatic(&semaphores[1]);
    return xTaskCreateStaticPinnedToCore(run, "fetch", STACK_BYTES, NULL, 4, stack, &task, 0) != NULL ? 0 : WHIR_ERR_STATE;
}
