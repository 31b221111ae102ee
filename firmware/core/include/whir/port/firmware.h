#ifndef WHIR_PORT_FIRMWARE_H
#define WHIR_PORT_FIRMWARE_H

#include <stdint.h>

/*
 * Application slots seam (ESP32: ESP-IDF's A/B slots). An image that starts for the first time is on trial: unless it is kept,
 * the next start goes back to the one before, whatever causes it. Called from the node's task; may block for one erase of a
 * sector. 0, or a negative code.
 */
typedef struct whir_firmware_slots {
    void *ctx;
    uint32_t slot_bytes;
    /* Opens the idle slot for an image of so many bytes, which then come in order. */
    int (*begin)(struct whir_firmware_slots *slots, uint32_t bytes);
    int (*write)(struct whir_firmware_slots *slots, const void *data, uint32_t bytes);
    /* The bootloader's own checks, its signature among them; then the image is what starts next. WHIR_ERR_FIRMWARE_IMAGE. */
    int (*end)(struct whir_firmware_slots *slots);
    /* Gives up what was begun, if anything was. */
    void (*abort)(struct whir_firmware_slots *slots);
    /* 1 while what runs now is on trial. */
    int (*is_trial)(struct whir_firmware_slots *slots);
    int (*keep)(struct whir_firmware_slots *slots);
    /* Restarts with the one before. */
    void (*go_back)(struct whir_firmware_slots *slots);
} whir_firmware_slots_t;

#endif
