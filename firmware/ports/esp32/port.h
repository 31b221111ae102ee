#ifndef WHIR_ESP32_PORT_H
#define WHIR_ESP32_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "whir/accel.h"
#include "whir/factory.h"
#include "whir/node.h"
#include "whir/settings.h"

/* The core's seams on an ESP32. Functions return 0 or a negative WHIR_ERR_… code unless said otherwise. */

/* settings.c: what the factory and the installer wrote, read once. */
#define WHIR_ESP32_BLOB_BYTES 1024
typedef struct whir_esp32_blob {
    size_t bytes;
    uint8_t data[WHIR_ESP32_BLOB_BYTES];
} whir_esp32_blob_t;

typedef struct whir_esp32_settings {
    whir_settings_t own; /* what the installer set */
    whir_trial_t trial;  /* of those of the link */
    char site[WHIR_NAME_NAME_MAX_BYTES + 1], node[WHIR_NAME_NAME_MAX_BYTES + 1];
    char hardware[WHIR_NAME_HARDWARE_CLASS_MAX_BYTES + 1];
    char serial[WHIR_NAME_NAME_MAX_BYTES + 1];
    uint8_t development;
    const char *refused; /* why no node runs with this identity; NULL: it does */
    whir_esp32_blob_t certificate, private_key, broker_ca, bundle_keys;
} whir_esp32_settings_t;

/* s->refused says more than an error: the node cannot run, the console can. */
int whir_esp32_settings_load(whir_esp32_settings_t *s);
/* The key that the board has made itself: a factory reset leaves it. */
int whir_esp32_own_key_read(whir_esp32_blob_t *key);
int whir_esp32_own_key_write(const whir_esp32_blob_t *key);
/* The installer's settings, in NVS. */
extern whir_store_t whir_esp32_store;

/* flash.c: the partitions model_0, model_1, spool and state; an address is one of the chip. */
int whir_esp32_flash_init(whir_flash_t *flash, whir_node_layout_t *layout);

/* crypto.c: PSA; `keys` as the factory writes them. */
int whir_esp32_crypto_init(whir_crypto_t *crypto, const whir_esp32_blob_t *keys);

/* bus.c: the sensor's bus and interrupt line of the board. Each interrupt notifies the task. */
int whir_esp32_bus_init(whir_bus_t *bus, uint8_t address);
int whir_esp32_interrupt_init(void *task /* TaskHandle_t */);

/* output.c: LED, relay, buzzer by severity; the button silences the buzzer until the severity changes. What the fleet may ask.
 */
int whir_esp32_output_init(whir_output_t *output, whir_control_t *control);

/* firmware.c: ESP-IDF's application slots. */
void whir_esp32_firmware_init(whir_firmware_slots_t *slots);

/* health.c: why the board has started, what a crash before left behind (NULL: none), and how full stacks and heap have been. */
const char *whir_esp32_reset_reason(void);
const char *whir_esp32_crash(void);
void whir_esp32_crash_told(void);
void whir_esp32_health(whir_health_t *health);

/* power.c: the clock since the cold boot; what a sleep before this start has kept, or NULL; and that sleep. */
uint64_t whir_esp32_now_ms(void);
const whir_node_memory_t *whir_esp32_memory(uint32_t *measured_mhz);
void whir_esp32_sleep(const whir_node_t *node, uint32_t ms);

/* wifi.c: connects and stays connected, sets the clock. */
int whir_esp32_wifi_start(const whir_esp32_settings_t *s);
int whir_esp32_wifi_up(void);
const char *whir_esp32_wifi_state(whir_board_t *board, int32_t *rssi_dbm);
void whir_esp32_wifi_radio(int on);
/* ms since 1970 when the clock was set since the last call, else 0. */
uint64_t whir_esp32_clock_set(void);

/* link.c: MQTT in a task of its own; the node's task never waits for the network. */
int whir_esp32_link_start(whir_link_t *link, const whir_esp32_settings_t *s);
int whir_esp32_link_connected(void);
const char *whir_esp32_link_state(whir_board_t *board);
/* 0: takes leave of the broker, so that its silence is no loss, and makes no connection until 1. */
void whir_esp32_link_want(int connection);
/* The link is about to connect and wants a last will; answer with its text. */
int whir_esp32_link_wants_will(void);
void whir_esp32_link_will(const char *json, uint32_t bytes);
/* One command, 0 bytes when there is none. */
uint32_t whir_esp32_link_command(void *payload, uint32_t bytes_max);

/* fetch.c: a bundle over HTTPS, resumed where it broke off. Pieces are handed over one at a time. */
int whir_esp32_fetch_init(const whir_esp32_settings_t *s);
int whir_esp32_fetch_begin(const char *url, uint32_t bytes);
typedef struct whir_esp32_piece {
    const uint8_t *data;
    uint32_t bytes; /* 0: the end */
    int error;      /* of the end */
} whir_esp32_piece_t;
/* 1 when a piece waits; it waits until it is answered. */
int whir_esp32_fetch_piece(whir_esp32_piece_t *piece);
void whir_esp32_fetch_answer(int result);

/* board.c: what the factory asks of it. */
void whir_esp32_board_init(whir_board_t *board, const whir_esp32_settings_t *s);

/* console.c: commands on the serial line. */
#define WHIR_ESP32_QUESTION_BYTES 64
int whir_esp32_console_start(void);
/* The next line that is the factory's to answer, terminated; 0 bytes when there is none. */
uint32_t whir_esp32_console_question(char line[WHIR_ESP32_QUESTION_BYTES]);

#endif
