#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "esp_random.h"
#include "freertos/FreeRTOS.h"
#include "freertos/message_buffer.h"
#include "freertos/semphr.h"
#include "freertos/task.h"
#include "mqtt_client.h"
#include "port.h"
#include "whir/backoff.h"

#define STACK_BYTES 4096
#define TOPIC_BYTES 128
#define OUTBOX_BYTES 8192 /* in front of the flash spool: what it does not take stays there */
#define COMMANDS_BYTES (2 * (WHIR_MESSAGE_COMMAND_MAX_BYTES + 4))
#define CLIENT_OUTBOX_BYTES 16384
#define TICK pdMS_TO_TICKS(200)

/* A message on its way to the link's task: this, then the payload. */
typedef struct head {
    char topic[15];
    uint8_t retained;
} head_t;

static const whir_esp32_settings_t *settings;
static esp_mqtt_client_handle_t client;
static char base[TOPIC_BYTES], client_id[2 * WHIR_NAME_NAME_MAX_BYTES + 2], will_topic[TOPIC_BYTES], command_topic[TOPIC_BYTES];
static char will[WHIR_MESSAGE_MESSAGE_MAX_BYTES];
static uint32_t will_bytes;
static atomic_int connected, wants_will, lost, unwanted;
static const char *volatile why; /* it is not connected */
static SemaphoreHandle_t will_given;
static MessageBufferHandle_t outbox, commands;

static void on_data(const esp_mqtt_event_t *event)
{
    /* what does not fit is sent again by the fleet after the next status */
    if (event->current_data_offset == 0 && event->data_len == event->total_data_len &&
        event->data_len <= WHIR_MESSAGE_COMMAND_MAX_BYTES) {
        (void)xMessageBufferSend(commands, event->data, (size_t)event->data_len, 0);
    }
}

static void on_event(void *argument, esp_event_base_t event_base, int32_t id, void *data)
{
    switch (id) {
    case MQTT_EVENT_CONNECTED:
        (void)esp_mqtt_client_subscribe(client, command_topic, 1);
        break;
    case MQTT_EVENT_SUBSCRIBED: /* only now can a receipt come back */
        connected = 1;
        break;
    case MQTT_EVENT_DISCONNECTED:
        connected = 0;
        lost = 1;
        break;
    case MQTT_EVENT_ERROR:
        why = ((esp_mqtt_event_handle_t)data)->error_handle->error_type == MQTT_ERROR_TYPE_CONNECTION_REFUSED
                  ? "the broker refuses this node"
                  : "no connection, or a certificate is refused";
        break;
    case MQTT_EVENT_DATA:
        on_data(data);
        break;
    default:
        break;
    }
}

static esp_mqtt_client_config_t config(void)
{
    const whir_esp32_settings_t *s = settings;

    return (esp_mqtt_client_config_t){
        .broker.address.uri = s->own.broker,
        .broker.verification = {.certificate = (const char *)s->broker_ca.data, .certificate_len = s->broker_ca.bytes},
        .credentials.client_id = client_id,
        .credentials.authentication = {.certificate = (const char *)s->certificate.data,
                                       .certificate_len = s->certificate.bytes,
                                       .key = (const char *)s->private_key.data,
                                       .key_len = s->private_key.bytes},
        .session = {.last_will = {.topic = will_topic, .msg = will, .msg_len = (int)will_bytes, .qos = 1, .retain = 1},
                    .keepalive = 30,
                    .protocol_ver = MQTT_PROTOCOL_V_3_1_1},
        .network.disable_auto_reconnect = true,
        .buffer = {.size = WHIR_MESSAGE_COMMAND_MAX_BYTES + TOPIC_BYTES,
                   .out_size = WHIR_MESSAGE_MESSAGE_MAX_BYTES + TOPIC_BYTES},
        .outbox.limit = CLIENT_OUTBOX_BYTES,
    };
}

/* Each attempt has a last will of its own, with the number of the connection. */
static void connect(void)
{
    esp_mqtt_client_config_t now;

    wants_will = 1;
    (void)xSemaphoreTake(will_given, portMAX_DELAY);
    now = config();
    lost = 0; /* before it starts: it may be lost again at once */
    if (client == NULL) {
        client = esp_mqtt_client_init(&now);
        if (client == NULL || esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_event, NULL) != ESP_OK ||
            esp_mqtt_client_start(client) != ESP_OK) {
            lost = 1;
        }
    } else if (esp_mqtt_set_config(client, &now) != ESP_OK || esp_mqtt_client_reconnect(client) != ESP_OK) {
        lost = 1;
    }
}

static void send(void)
{
    static uint8_t message[sizeof(head_t) + WHIR_MESSAGE_MESSAGE_MAX_BYTES];
    char topic[TOPIC_BYTES];
    head_t head;
    size_t bytes = xMessageBufferReceive(outbox, message, sizeof message, TICK);

    if (bytes < sizeof head || !connected) {
        return; /* without a connection the node stores it again, or counts it */
    }
    memcpy(&head, message, sizeof head);
    (void)snprintf(topic, sizeof topic, "%s/%s", base, head.topic);
    (void)esp_mqtt_client_enqueue(client, topic, (const char *)message + sizeof head, (int)(bytes - sizeof head), 1,
                                  head.retained, true);
}

static void run(void *argument)
{
    uint32_t failures = 0;
    int wait_ms = 0;

    lost = 1;
    for (;;) {
        send();
        failures = connected ? 0 : failures;
        wait_ms -= wait_ms > 0 ? 200 : 0;
        if (unwanted && connected) {
            (void)esp_mqtt_client_disconnect(client);
        }
        if (lost && !unwanted && whir_esp32_wifi_up() && wait_ms <= 0) {
            wait_ms = (int)whir_backoff_ms(++failures, esp_random());
            connect();
        }
    }
}

static int publish(whir_link_t *link, const char *topic, const void *payload, uint32_t bytes, int retained)
{
    static uint8_t message[sizeof(head_t) + WHIR_MESSAGE_MESSAGE_MAX_BYTES];
    head_t head = {.retained = (uint8_t)retained};

    if (bytes > WHIR_MESSAGE_MESSAGE_MAX_BYTES || strlen(topic) >= sizeof head.topic) {
        return WHIR_ERR_SPACE;
    }
    strcpy(head.topic, topic);
    memcpy(message, &head, sizeof head);
    memcpy(message + sizeof head, payload, bytes);
    return xMessageBufferSend(outbox, message, sizeof head + bytes, 0) != 0 ? 0 : WHIR_ERR_BUSY;
}

static int fetch(whir_link_t *link, const char *url, uint32_t bytes)
{
    return whir_esp32_fetch_begin(url, bytes);
}

int whir_esp32_link_start(whir_link_t *link, const whir_esp32_settings_t *s)
{
    static StaticTask_t task;
    static StackType_t stack[STACK_BYTES];
    static StaticSemaphore_t semaphore;
    static StaticMessageBuffer_t outbox_state, commands_state;
    static uint8_t outbox_bytes[OUTBOX_BYTES + 1], commands_bytes[COMMANDS_BYTES + 1];

    settings = s;
    (void)snprintf(base, sizeof base, "whir/v1/%s/%s", s->site, s->node);
    (void)snprintf(client_id, sizeof client_id, "%s/%s", s->site, s->node);
    (void)snprintf(will_topic, sizeof will_topic, "%s/%s", base, WHIR_TOPIC_STATUS);
    (void)snprintf(command_topic, sizeof command_topic, "%s/%s", base, WHIR_TOPIC_CMD);
    will_given = xSemaphoreCreateBinaryStatic(&semaphore);
    outbox = xMessageBufferCreateStatic(sizeof outbox_bytes, outbox_bytes, &outbox_state);
    commands = xMessageBufferCreateStatic(sizeof commands_bytes, commands_bytes, &commands_state);
    *link = (whir_link_t){.publish = publish, .fetch = fetch};
    return xTaskCreateStaticPinnedToCore(run, "link", STACK_BYTES, NULL, 5, stack, &task, 0) != NULL ? 0 : WHIR_ERR_STATE;
}

int whir_esp32_link_connected(void)
{
    return connected;
}

const char *whir_esp32_link_state(whir_board_t *board)
{
    return connected ? "ok" : why;
}

void whir_esp32_link_want(int connection)
{
    unwanted = !connection;
}

int whir_esp32_link_wants_will(void)
{
    return wants_will;
}

void whir_esp32_link_will(const char *json, uint32_t bytes)
{
    will_bytes = bytes < sizeof will ? bytes : 0;
    memcpy(will, json, will_bytes);
    wants_will = 0;
    (void)xSemaphoreGive(will_given);
}

uint32_t whir_esp32_link_command(void *payload, uint32_t bytes_max)
{
    return (uint32_t)xMessageBufferReceive(commands, payload, bytes_max, 0);
}
