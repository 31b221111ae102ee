#ifndef WHIR_ESP32_PORT_H
#define WHIR_ESP32_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "psa_crypto.h"
#include "whir/accel.h"
#include "whir/console.h"
#include "whir/node.h"
#include "whir/own_key.h"
#include "whir/port/wiring.h"
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
    whir_esp32_blob_t operational, operational_key; /* bytes 0: none, the factory's is shown */
    char anchors[WHIR_ANCHORS_PEM_MAX_BYTES];
    const char *trusted; /* anchors, PEM with its NUL, or the factory's, DER */
    size_t trusted_bytes;
} whir_esp32_settings_t;

/* s->refused says more than an error: the node cannot run, the console can. */
int whir_esp32_settings_load(whir_esp32_settings_t *s);
/* The key that the board has made itself: a factory reset leaves it. */
extern whir_own_key_t whir_esp32_own_key;
/* The installer's settings, in NVS. */
extern whir_store_t whir_esp32_store;

/* flash.c: the partitions model_0, model_1, spool and state; an address is one of the chip. */
int whir_esp32_flash_init(whir_flash_t *flash, whir_node_layout_t *layout);

/* bus.c: the sensor's bus and interrupt line of the board. Each interrupt notifies the task. */
int whir_esp32_bus_init(whir_bus_t *bus, uint8_t address);
int whir_esp32_interrupt_init(void *task /* TaskHandle_t */);

/* output.c: LED, relay, buzzer and button (whir/alarm.h); what the fleet may ask. */
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
int whir_esp32_by_motion(void);
void whir_esp32_wake_at_motion(void);
void whir_esp32_sleep(const whir_node_t *node, uint32_t ms);

/* wifi.c: begins with the radio off; sets the clock. */
int whir_esp32_wifi_init(whir_wiring_t *wiring, const whir_esp32_settings_t *s);
const char *whir_esp32_wifi_state(whir_board_t *board, int32_t *rssi_dbm);

/* link.c: MQTT, with a task for what waits for the network. */
int whir_esp32_link_start(whir_link_t *link, whir_wiring_t *wiring, const whir_esp32_settings_t *s);
const char *whir_esp32_link_state(whir_board_t *board);

/* fetch.c: a download (whir/fetch.h) over HTTPS in a task of its own. */
int whir_esp32_fetch_init(whir_link_t *link, whir_wiring_t *wiring, const whir_esp32_settings_t *s);

/* board.c: what the factory asks of it. */
void whir_esp32_board_init(whir_board_t *board, const whir_esp32_settings_t *s, whir_crypto_t *crypto);

/* console.c: the serial line, and its next command if there is one. */
int whir_esp32_console_start(void);
void whir_esp32_console_serve(whir_console_t *console);

#endif
