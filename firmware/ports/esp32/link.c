#include <stdio.h>
#include <string.h>

#include "freertos/FreeRTOS.h"
#include "freertos/message_buffer.h"
#include "freertos/task.h"
#include "mqtt_client.h"
#include "port.h"

#define STACK_BYTES 4096
#define TOPIC_BYTES 128
#define OUTBOX_BYTES 8192 /* in front of the flash spool: what it does not take stays there */
#define COMMANDS_BYTES (2 * (WHIR_MESSAGE_COMMAND_MAX_BYTES + 4))
#define CLIENT_OUTBOX_BYTES 16384

/* A message on its way to the link's task: this, then the payload. */
typedef struct head {
    char topic[15];
    uint8_t retained;
} head_t;

static const whir_esp32_settings_t *settings;
static esp_mqtt_client_handle_t client;
static char base[TOPIC_BYTES], client_id[2 * WHIR_NAME_NAME_MAX_BYTES + 2], will_topic[TOPIC_BYTES], command_topic[TOPIC_BYTES];
static char will[WHIR_MESSAGE_MESSAGE_MAX_BYTES];
static whir_wiring_t *wiring;
static const char *volatile why; /* it is not connected */
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
        wiring->connected = 1;
        break;
    case MQTT_EVENT_DISCONNECTED:
        wiring->connected = 0;
        wiring->broken = 1;
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

static esp_mqtt_client_config_t config(uint32_t will_bytes)
{
    const whir_esp32_settings_t *s = settings;
    int own = s->operational.bytes > 0 && !wiring->birth;
    const whir_esp32_blob_t *certificate = own ? &s->operational : &s->certificate;
    const whir_esp32_blob_t *key = own ? &s->operational_key : &s->private_key;

    return (esp_mqtt_client_config_t){
        .broker.address.uri = s->own.broker,
        .broker.verification = {.certificate = s->trusted, .certificate_len = s->trusted_bytes},
        .credentials.client_id = client_id,
        .credentials.authentication = {.certificate = (const char *)certificate->data,
                                       .certificate_len = certificate->bytes,
                                       .key = (const char *)key->data,
                                       .key_len = key->bytes},
        .session = {.last_will = {.topic = will_topic, .msg = will, .msg_len = (int)will_bytes, .qos = 1, .retain = 1},
                    .keepalive = 30,
                    .protocol_ver = MQTT_PROTOCOL_V_3_1_1},
        .network.disable_auto_reconnect = true,
        .buffer = {.size = WHIR_MESSAGE_COMMAND_MAX_BYTES + TOPIC_BYTES,
                   .out_size = WHIR_MESSAGE_MESSAGE_MAX_BYTES + TOPIC_BYTES},
        .outbox.limit = CLIENT_OUTBOX_BYTES,
    };
}

/* Not from the link's task: the client's own task waits for the network, this only tells it to. */
static void connect(whir_wiring_t *w, const char *json, uint32_t bytes)
{
    const esp_mqtt_client_config_t now = config(bytes);
    int begun;

    memcpy(will, json, bytes);
    w->broken = 0; /* before it starts: it may break at once */
    if (client != NULL) {
        begun = esp_mqtt_set_config(client, &now) == ESP_OK && esp_mqtt_client_reconnect(client) == ESP_OK;
    } else {
        client = esp_mqtt_client_init(&now);
        begun = client != NULL && esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_event, NULL) == ESP_OK &&
                esp_mqtt_client_start(client) == ESP_OK;
    }
    if (!begun) {
        w->broken = 1;
    }
}

static void leave(whir_wiring_t *w)
{
    (void)esp_mqtt_client_disconnect(client);
}

/* The client waits for the network when it sends; the node's task must not. */
static void run(void *argument)
{
    static char message[sizeof(head_t) + WHIR_MESSAGE_MESSAGE_MAX_BYTES];
    char topic[TOPIC_BYTES];
    head_t head;

    for (;;) {
        size_t bytes = xMessageBufferReceive(outbox, message, sizeof message, portMAX_DELAY);
        memcpy(&head, message, sizeof head);
        (void)snprintf(topic, sizeof topic, "%s/%s", base, head.topic);
        if (wiring->connected) { /* else the node stores it again, or counts it */
            (void)esp_mqtt_client_enqueue(client, topic, message + sizeof head, (int)(bytes - sizeof head), 1, head.retained,
                                          true);
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

static uint32_t command(whir_wiring_t *w, void *payload, uint32_t bytes_max)
{
    return (uint32_t)xMessageBufferReceive(commands, payload, bytes_max, 0);
}

int whir_esp32_link_start(whir_link_t *link, whir_wiring_t *w, const whir_esp32_settings_t *s)
{
    static StaticTask_t task;
    static StackType_t stack[STACK_BYTES];
    static StaticMessageBuffer_t outbox_state, commands_state;
    static uint8_t outbox_bytes[OUTBOX_BYTES + 1], commands_bytes[COMMANDS_BYTES + 1];

    settings = s;
    (void)snprintf(base, sizeof base, "whir/v1/%s/%s", s->site, s->node);
    (void)snprintf(client_id, sizeof client_id, "%s/%s", s->site, s->node);
    (void)snprintf(will_topic, sizeof will_topic, "%s/%s", base, WHIR_TOPIC_STATUS);
    (void)snprintf(command_topic, sizeof command_topic, "%s/%s", base, WHIR_TOPIC_CMD);
    outbox = xMessageBufferCreateStatic(sizeof outbox_bytes, outbox_bytes, &outbox_state);
    commands = xMessageBufferCreateStatic(sizeof commands_bytes, commands_bytes, &commands_state);
    link->publish = publish;
    wiring = w;
    w->connect = connect;
    w->leave = leave;
    w->command = command;
    return xTaskCreateStaticPinnedToCore(run, "link", STACK_BYTES, NULL, 5, stack, &task, 0) != NULL ? 0 : WHIR_ERR_STATE;
}

const char *whir_esp32_link_state(whir_board_t *board)
{
    return wiring->connected ? "ok" : why;
}
