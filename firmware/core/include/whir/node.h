#ifndef WHIR_NODE_H
#define WHIR_NODE_H

#include <stdint.h>

#include "whir/baseline.h"
#include "whir/bundle.h"
#include "whir/capture.h"
#include "whir/condition.h"
#include "whir/decide.h"
#include "whir/features.h"
#include "whir/firmware.h"
#include "whir/novelty.h"
#include "whir/port/control.h"
#include "whir/port/crypto.h"
#include "whir/port/firmware.h"
#include "whir/port/flash.h"
#include "whir/port/inference.h"
#include "whir/port/link.h"
#include "whir/port/output.h"
#include "whir/port/sensor.h"
#include "whir/port/store.h"
#include "whir/power.h"
#include "whir/settings.h"
#include "whir/slots.h"
#include "whir/spool.h"
#include "whir/update.h"
#include "whir/velocity.h"
#include "whir/window.h"
#include "whir/zone.h"

/* Where things lie on the flash; all sector-aligned, slots aligned to WHIR_BUNDLE_SLOT_ALIGN_BYTES. */
typedef struct whir_node_layout {
    uint32_t state_base;                      /* two sectors */
    uint32_t baseline_base, baseline_sectors; /* two, or none: the node then learns no baseline */
    uint32_t slot_base[2];
    uint32_t slot_bytes;
    uint32_t alert_base, alert_sectors;         /* spool of alerts and events */
    uint32_t telemetry_base, telemetry_sectors; /* spool of telemetry */
    uint32_t capture_base;                      /* capture_slots times whir_capture_slot_sectors; none: no captures */
    uint8_t capture_slots;
} whir_node_layout_t;
/* All but the slots: state and baseline from `state` on; captures, alerts with a third of the rest, and telemetry in `spool`.
 */
void whir_node_layout(whir_node_layout_t *layout, uint32_t sector_bytes, uint32_t state, uint32_t spool, uint32_t spool_bytes);

typedef struct whir_node_config {
    const char *site;
    const char *name;
    const char *hardware_class;
    const char *firmware_version;
    const char *reset_reason;   /* "brownout", "panic" and "watchdog" are counted */
    const char *crash;          /* what is known of it, told once; NULL: nothing */
    whir_trial_t trial;         /* of the link's settings, at boot */
    const uint8_t *certificate; /* DER, that it shows to the broker; NULL: none */
    uint32_t certificate_bytes;
    uint8_t operational; /* it is not the factory's */
    whir_sensor_info_t sensor;
    whir_machine_t machine;
    int8_t up;                             /* the machine axis that points up, 1 to 3, negative: down; 0: nobody has said */
    uint8_t profile;                       /* WHIR_PROFILE_… of the decide stage */
    uint8_t power_mode;                    /* WHIR_POWER_MODE_… */
    uint8_t by_motion;                     /* it was the sensor that woke this start */
    uint32_t every_ms;                     /* where it rests: from one measurement to the next */
    const struct whir_node_memory *memory; /* what whir_node_sleep left in memory that this start kept; NULL: a cold boot */
    whir_node_layout_t layout;
    uint32_t telemetry_interval_ms; /* of the intervals: 0 = the contract's default */
    uint32_t status_interval_ms;
    uint32_t resend_interval_ms;
} whir_node_config_t;

/* What the installer has set, of it. */
void whir_node_config_settings(whir_node_config_t *config, const whir_settings_t *s, whir_trial_t trial);

typedef struct whir_node_ports {
    whir_flash_t *flash;
    whir_crypto_t *crypto;
    whir_inference_t *engine;
    whir_link_t *link;
    whir_output_t *output;
    uint8_t *arena; /* 16-byte aligned, for the engine */
    uint32_t arena_bytes;
    int16_t *capture_ring; /* whir_capture_ring_bytes of the sensor, or fewer; none: no captures */
    uint32_t capture_ring_bytes;
    whir_control_t *control;         /* NULL: the board takes no such commands */
    whir_store_t *store;             /* NULL: it takes no settings */
    whir_firmware_slots_t *firmware; /* NULL, or without control: it takes no firmware */
} whir_node_ports_t;

typedef struct whir_node whir_node_t;

#include "whir/node_state.h"

/*
 * The node: samples in, verdicts and alerts out. One task calls everything here; nothing blocks but the flash. `now_ms` is the
 * monotonic clock since boot and is passed in everywhere.
 */
/* Mounts the flash, boots the model in service, counts the boot. 0 also without a model (the node then says no_model); else
 * the flash's error. `config`'s strings and `ports` must outlive the node. May block: the bundle is verified. */
int whir_node_init(whir_node_t *node, const whir_node_config_t *config, const whir_node_ports_t *ports, uint64_t now_ms);
/* One sample of the sensor, `config.sensor.channels` counts. 0, or the engine's error: the verdict is then unknown. */
int whir_node_push(whir_node_t *node, const int16_t *sample, uint64_t now_ms);
/* Samples were lost before the next push. */
void whir_node_gap(whir_node_t *node);
/* Everything periodic: status, telemetry, resends, replay of the spool, one step of an update. Call at least every 50 ms. */
void whir_node_step(whir_node_t *node, uint64_t now_ms);
/* The shaft turns at this speed from now on, 1e-3 turns a second; 0 = nobody knows, then the node looks for it in the spectrum
 * (whir/speed.h). Until it is called, the machine's nominal speed holds. */
void whir_node_speed(whir_node_t *node, uint32_t shaft_mhz);
/* The wall clock is known: ms since 1970 at this now_ms. */
void whir_node_clock(whir_node_t *node, uint64_t unix_ms, uint64_t now_ms);
/* The link is up (a clean session: status goes out at once) or down. */
void whir_node_connected(whir_node_t *node, int connected, uint64_t now_ms);
/* The last will for the connection about to be made, which it counts; call before each attempt to connect. Returns the length,
 * or WHIR_ERR_SPACE. */
int whir_node_will(whir_node_t *node, char *json, uint32_t json_max);
/* One message from `cmd`. 0, or the error that was answered. */
int whir_node_command(whir_node_t *node, const void *payload, uint32_t bytes, uint64_t now_ms);
/* Bytes of the bundle or firmware package that was asked for by link->fetch, in order; a negative answer means stop fetching.
 * WHIR_ERR_BUSY: the slot is still being erased, offer the same bytes again after the next step. */
int whir_node_bundle_data(whir_node_t *node, const void *data, uint32_t bytes, uint64_t now_ms);
/* The fetch is over: 0, or a negative code when it failed. */
int whir_node_bundle_end(whir_node_t *node, int error, uint64_t now_ms);
/* Runs the golden vectors of the model in service: how many; WHIR_ERR_BUNDLE_GOLDEN with the first that failed; without a model
 * why there is none; or another error. Takes as long as they do. */
int whir_node_prove(whir_node_t *node, whir_golden_mismatch_t *mismatch);
/* What the board may switch off now. */
typedef struct whir_node_use {
    uint8_t sensor, radio;
    uint8_t motion;    /* in this sleep the sensor watches, and wakes the board */
    uint32_t sleep_ms; /* not 0: everything but `memory`; then whir_node_sleep, and a start after so long, or by motion */
} whir_node_use_t;
void whir_node_use(const whir_node_t *node, whir_node_use_t *use, uint64_t now_ms);
/* What a node has to know when it wakes up. Its clock goes on meanwhile: now_ms counts from the cold boot. */
void whir_node_sleep(const whir_node_t *node, whir_node_memory_t *memory);
/* The node is about to be shut down in order: tells it, so that silence is not taken for loss. */
int whir_node_stop(whir_node_t *node, uint64_t now_ms);

#endif
