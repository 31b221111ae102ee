#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "esp_http_client.h"
#include "esp_random.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "freertos/task.h"
#include "port.h"
#include "whir/backoff.h"

#define STACK_BYTES 6144
#define PIECE_BYTES 1024
#define ATTEMPTS 8 /* without a byte in between */
#define TIMEOUT_MS 10000
#define HTTP_OK 200
#define HTTP_PARTIAL 206

static const whir_esp32_settings_t *settings;
static char url[WHIR_MESSAGE_URL_MAX_BYTES + 1];
static uint32_t wanted, have;
static atomic_int busy, offered, answer;
static SemaphoreHandle_t begin, answered;
static uint8_t buffer[PIECE_BYTES];
static whir_esp32_piece_t piece;

/* Gives a piece to the node's task and waits for its answer. */
static int hand_over(uint32_t bytes, int error)
{
    piece = (whir_esp32_piece_t){.data = buffer, .bytes = bytes, .error = error};
    offered = 1;
    (void)xSemaphoreTake(answered, portMAX_DELAY);
    return answer;
}

/* One connection, from where the last one broke off. 1 = done, 0 = broken off, negative = it is of no use. */
static int continue_fetch(void)
{
    const esp_http_client_config_t config = {.url = url,
                                             .cert_pem = (const char *)settings->broker_ca.data,
                                             .cert_len = settings->broker_ca.bytes,
                                             .timeout_ms = TIMEOUT_MS};
    esp_http_client_handle_t http = esp_http_client_init(&config);
    char range[32];
    int read = 0, result = 0;

    (void)snprintf(range, sizeof range, "bytes=%lu-", (unsigned long)have);
    if (http == NULL || esp_http_client_set_header(http, "Range", range) != ESP_OK || esp_http_client_open(http, 0) != ESP_OK ||
        esp_http_client_fetch_headers(http) < 0) {
        read = -1;
    } else if (esp_http_client_get_status_code(http) != (have > 0 ? HTTP_PARTIAL : HTTP_OK) &&
               esp_http_client_get_status_code(http) != HTTP_PARTIAL) {
        result = WHIR_ERR_DOWNLOAD;
    }
    while (read >= 0 && result == 0 && have < wanted) {
        uint32_t left = wanted - have;
        read = esp_http_client_read(http, (char *)buffer, left < PIECE_BYTES ? (int)left : PIECE_BYTES);
        if (read <= 0) {
            break;
        }
        have += (uint32_t)read;
        result = hand_over((uint32_t)read, 0);
    }
    if (http != NULL) {
        (void)esp_http_client_cleanup(http);
    }
    return result < 0 ? result : have == wanted;
}

static void fetch(void)
{
    int result = 0;

    for (uint32_t failures = 0; result == 0 && failures < ATTEMPTS;) {
        uint32_t before = have;
        result = continue_fetch();
        failures = have > before ? 1 : failures + 1;
        if (result == 0) {
            vTaskDelay(pdMS_TO_TICKS(whir_backoff_ms(failures, esp_random())));
        }
    }
    (void)hand_over(0, result == 1 ? 0 : WHIR_ERR_DOWNLOAD);
    busy = 0;
}

static void run(void *argument)
{
    for (;;) {
        (void)xSemaphoreTake(begin, portMAX_DELAY);
        fetch();
    }
}

int whir_esp32_fetch_init(const whir_esp32_settings_t *s)
{
    static StaticTask_t task;
    static StackType_t stack[STACK_BYTES];
    static StaticSemaphore_t semaphores[2];

    settings = s;
    begin = xSemaphoreCreateBinaryStatic(&semaphores[0]);
    answered = xSemaphoreCreateBinaryStatic(&semaphores[1]);
    return xTaskCreateStaticPinnedToCore(run, "fetch", STACK_BYTES, NULL, 4, stack, &task, 0) != NULL ? 0 : WHIR_ERR_STATE;
}

int whir_esp32_fetch_begin(const char *from, uint32_t bytes)
{
    if (busy) {
        return WHIR_ERR_BUSY;
    }
    if (strlen(from) >= sizeof url) {
        return WHIR_ERR_ARG;
    }
    strcpy(url, from);
    wanted = bytes;
    have = 0;
    busy = 1;
    (void)xSemaphoreGive(begin);
    return 0;
}

int whir_esp32_fetch_piece(whir_esp32_piece_t *out)
{
    if (!offered) {
        return 0;
    }
    *out = piece;
    return 1;
}

void whir_esp32_fetch_answer(int result)
{
    offered = 0;
    answer = result;
    (void)xSemaphoreGive(answered);
}
