#ifndef WHIR_HOST_NODE_H
#define WHIR_HOST_NODE_H

#include <stdint.h>

struct host_crypto;
struct host_flash;
struct host_nn_info;
struct host_store;

/* The whole node on a computer. Functions that return int give 0, or a negative code of the core. */
typedef struct host_node host_node_t;

/* Text is copied, all of it shorter than 64 bytes. */
typedef struct host_node_setup {
    const char *site, *name, *hardware_class, *firmware_version, *reset_reason, *sensor;
    uint32_t rate_mhz, bandwidth_hz, range_milli, noise_ug_rthz, lsb_nano;
    uint8_t unit, channels;
    uint32_t telemetry_interval_ms, status_interval_ms, resend_interval_ms;
    uint32_t arena_bytes;
    uint32_t power_w; /* of the machine; 0 = not known */
    uint8_t group, foundation, calibrated;
    uint32_t shaft_mhz; /* nominal speed; 0 = not known */
    uint8_t profile;
    uint8_t capture_slots;
    uint8_t power_mode;
    uint8_t watches, by_motion;
    int8_t up; /* machine axis that points up, 0: not told */
    uint32_t every_ms;
    const char *crash;          /* NULL: none */
    uint32_t fifo_ms;           /* how long the sensor keeps samples while an erase stops everything */
    const uint8_t *certificate; /* the factory's, DER; outlives the node. NULL: none */
    uint32_t certificate_bytes;
} host_node_setup_t;

/*
 * The seams that Python stands behind; the callbacks must outlive the node. engine_load and engine_invoke NULL: whir_nn.
 * publish and fetch: 0, or a negative code. Payload, URL and model are the core's, valid during the call.
 */
typedef struct host_node_calls {
    int (*publish)(const char *topic, const uint8_t *payload, uint32_t bytes, int retained);
    int (*fetch)(const char *url, uint32_t bytes);
    void (*output)(uint8_t severity);
    void (*restart)(int forget_settings);
    void (*identify)(uint32_t seconds);
    /* Application slots; firmware_begin NULL: none. */
    int (*firmware_begin)(uint32_t bytes);
    int (*firmware_write)(const uint8_t *data, uint32_t bytes);
    int (*firmware_end)(void);
    void (*firmware_abort)(void);
    int (*firmware_is_trial)(void);
    int (*firmware_keep)(void);
    void (*firmware_go_back)(void);
    const struct host_store *store; /* NULL: it takes no settings */
    int (*engine_load)(const uint8_t *model, uint32_t bytes, struct host_nn_info *info);
    int (*engine_invoke)(const int8_t *input, uint32_t input_bytes, int8_t *output, uint32_t output_bytes);
} host_node_calls_t;

typedef struct host_verdict {
    uint64_t at_ms;
    uint32_t rms_counts;
    uint16_t permille[8];
    uint8_t class_count;
    int8_t top; /* -1 = unknown */
    uint8_t windows, quality;
    uint16_t novelty; /* permille; 65535 = none */
    uint8_t zone, zone_reason;
    uint16_t velocity_hz; /* 0: no velocity */
    uint32_t velocity_um_s;
} host_verdict_t;

typedef struct host_node_view {
    uint32_t boot, conn, seq, verdicts;
    uint8_t state; /* enum node_state */
    uint8_t slot;  /* in service, 255 = none */
    uint8_t trial, serving;
    uint8_t severity;          /* on the local output */
    uint8_t updating;          /* a bundle is being fetched or proven */
    uint32_t security_counter; /* the least that is accepted */
    uint8_t capturing;         /* a capture is being recorded */
    uint32_t captures_waiting, captures_dropped;
    uint32_t pending_alerts, pending_telemetry, dropped;
    uint32_t state_bytes; /* RAM of struct whir_node */
    char model[32], model_version[16];
} host_node_view_t;

/* What a node keeps while it sleeps. */
typedef struct host_memory host_memory_t;
host_memory_t *host_memory_new(void);
void host_memory_free(host_memory_t *memory);

/* Bytes of flash that a node takes, for sectors of 4096 bytes. */
uint32_t host_node_flash_bytes(void);
/* What the factory does: the bundle into slot a, in service. WHIR_ERR_STATE when a slot is in service already. */
int host_node_factory(struct host_flash *flash, const uint8_t *bundle, uint32_t bytes, uint32_t security_counter);

/* Boots; now_ms is 0 but where it wakes up with a memory. NULL when it cannot, with the code in *error. Flash and crypto must
 * outlive the node. */
host_node_t *host_node_boot(struct host_flash *flash, struct host_crypto *crypto, const host_node_setup_t *setup,
                            const host_node_calls_t *calls, const host_memory_t *memory, uint64_t now_ms, int32_t *error);
void host_node_free(host_node_t *node);

/*
 * `frames` samples of `channels` counts at the stated rate, the first at start_us, with a step each 20 ms in between. samples
 * NULL: time passes without samples. What an erase costs beyond the sensor's FIFO is lost, and the node is told. Verdicts go to
 * `verdicts`, at most `max` are kept. Stops at a power cut. Returns the number of verdicts.
 */
int host_node_run(host_node_t *node, const int16_t *samples, uint32_t frames, uint64_t start_us, host_verdict_t *verdicts,
                  uint32_t max);
/* What may be off now: bit 0 the sensor is wanted, bit 1 the radio; *sleep_ms how long it may sleep. */
int host_node_use(const host_node_t *node, uint64_t now_ms, uint32_t *sleep_ms);
void host_node_sleep(const host_node_t *node, host_memory_t *memory);
void host_node_gap(host_node_t *node);
void host_node_speed(host_node_t *node, uint32_t shaft_mhz);
void host_node_clock(host_node_t *node, uint64_t unix_ms, uint64_t now_ms);
void host_node_connected(host_node_t *node, int connected, uint64_t now_ms);
/* Length of the last will for the next connection. */
int host_node_will(host_node_t *node, uint8_t *json, uint32_t max);
int host_node_command(host_node_t *node, const uint8_t *payload, uint32_t bytes, uint64_t now_ms);
int host_node_bundle_data(host_node_t *node, const uint8_t *data, uint32_t bytes, uint64_t now_ms);
int host_node_bundle_end(host_node_t *node, int error, uint64_t now_ms);
/* The operational certificate (DER) in force and its key (121 bytes): its length, 0: there is none. */
int host_node_identity(const host_node_t *node, uint8_t *der, uint32_t max, uint8_t *key);
/* The trust anchors in force, PEM, terminated: their length, 0: the factory's. */
int host_node_anchors(const host_node_t *node, char *pem, uint32_t max);
int host_node_stop(host_node_t *node, uint64_t now_ms);
void host_node_look(const host_node_t *node, host_node_view_t *view);

#endif
