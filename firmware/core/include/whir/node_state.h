#ifndef WHIR_NODE_STATE_H
#define WHIR_NODE_STATE_H

#include <stdint.h>

#include "whir/messages.h"
#include "whir/speed.h"

#define WHIR_NODE_ANSWERS 8
/* Largest window, in words (samples * channels), that this node takes: 9 bytes of RAM each. A port that is short of RAM
 * defines a smaller one for every source file; bundles with larger windows are then refused with WHIR_ERR_SPACE. */
#ifndef WHIR_NODE_FRAME_WORDS
#define WHIR_NODE_FRAME_WORDS (WHIR_WINDOW_SAMPLES_MAX * WHIR_WINDOW_CHANNELS_MAX)
#endif

/* What was answered to a command, for the case that it comes again. */
typedef struct whir_node_answer {
    char id[WHIR_MESSAGE_COMMAND_ID_MAX_BYTES + 1];
    uint8_t result;
    int16_t code;
} whir_node_answer_t;

typedef struct whir_node_memory {
    uint32_t magic;
    uint32_t boot, seq, conn, lost, told_dropped, captures, captures_dropped;
    uint8_t synced, daily;
    uint64_t unix_at_boot_ms, daily_ms;
    whir_power_t power;
    uint32_t occurrence[WHIR_DECIDE_ALERTS];
    whir_decide_t decide;
    uint32_t crc; /* CRC-32 of all before it */
} whir_node_memory_t;

/* A candidate that judges the windows of the model in service beside it. */
typedef struct whir_shadow {
    whir_bundle_t bundle; /* in the idle slot */
    uint64_t until_ms;
    whir_mean_t mean;
    whir_decide_t decide;
    whir_verdict_t verdict;
    uint8_t due; /* `verdict` is of the latest window */
    whir_shadow_counts_t counts;
} whir_shadow_t;

struct whir_node {
    whir_node_config_t config;
    whir_node_ports_t ports;

    uint64_t now_ms;          /* of the last call that told it */
    uint64_t unix_at_boot_ms; /* while synced */
    uint8_t synced;
    uint32_t seq;  /* of the next message */
    uint32_t conn; /* connections begun */
    uint32_t lost; /* messages that could be neither stored nor sent */

    whir_slots_t slots;
    whir_spool_t alerts;    /* alerts and events, until receipted */
    whir_spool_t telemetry; /* telemetry, while the link is down */
    whir_update_t update;
    whir_bundle_policy_t policy;

    whir_bundle_t bundle; /* in service */
    uint8_t serving;      /* there is one */
    whir_model_info_t info;
    whir_condition_t condition;
    whir_envelope_t envelope; /* of the bundle's axes that are one */
    whir_window_t window;
    whir_mean_t mean;
    whir_decide_t decide;
    uint32_t occurrence[WHIR_DECIDE_ALERTS]; /* seq of the raise */
    uint8_t output;                          /* severity told to the local output */

    whir_velocity_t velocity; /* of the sensor's own stream, with a model or without */
    whir_zone_limits_t limits;
    uint8_t zone_reason; /* why there are no limits */
    uint32_t shaft_mhz;  /* speed of the shaft, 1e-3 turns a second; 0 = unknown */
    uint8_t shaft_told;  /* else it is looked for in the spectrum */

    whir_baseline_t baseline; /* of the machine, on flash */
    uint8_t known;            /* it is one of the features of the model in service */
    whir_novelty_learn_t learn;
    char learn_action[WHIR_MESSAGE_COMMAND_ID_MAX_BYTES + 1]; /* command behind it */

    int64_t gravity[3]; /* sum of so many samples; wanted 0: not asked */
    uint32_t gravity_samples, gravity_wanted;

    uint64_t signal_samples; /* conditioned samples since boot: the signal's own time */
    whir_verdict_t verdict;  /* the latest */
    uint32_t verdicts;       /* given since boot */
    whir_tally_t tally;
    uint8_t gap;       /* samples were lost before the next one */
    uint8_t slow;      /* the sensor delivers too few */
    uint32_t received; /* samples since slow_since_ms */
    uint64_t slow_since_ms;
    uint8_t bad;   /* no good verdict since bad_since_ms */
    uint8_t fault; /* for so long that the sensor is a fault */
    uint64_t bad_since_ms;

    whir_power_t power;
    uint8_t woken;            /* by itself: no cold boot */
    uint64_t begun_ms;        /* this start */
    uint32_t listen_verdicts; /* verdicts when the measurement began */
    uint64_t connected_ms;

    uint64_t certificate_end_s; /* 0: it has none */
    uint8_t connected;
    uint8_t receipted;   /* anything, since boot */
    uint32_t settings;   /* CRC-32 of those that are kept */
    uint8_t restart;     /* asked for; 2: without settings */
    uint64_t restart_ms; /* when */
    uint8_t status_due, telemetry_due;
    uint8_t told_state;
    uint64_t status_ms, telemetry_ms, drain_ms; /* of the last one */
    uint8_t sent_any;                           /* sent_last is valid */
    whir_spool_item_t sent_last;
    uint64_t pass_ms; /* when sending began at the oldest */
    uint8_t resend_doublings;
    uint32_t told_dropped;

    whir_capture_t capture;
    uint8_t daily;      /* one has been taken since boot */
    uint64_t daily_ms;  /* when, else of the boot */
    int8_t sending;     /* slot, or -1 */
    uint8_t sends;      /* times that all its chunks went out */
    uint32_t chunk;     /* next of its chunks */
    uint32_t chunk_seq; /* of the last one */
    uint64_t chunk_ms;  /* when it went out */

    uint8_t updating; /* a fetch or its proof is under way: of a … */
#define WHIR_NODE_UPDATING_MODEL 1
#define WHIR_NODE_UPDATING_FIRMWARE 2
#define WHIR_NODE_UPDATING_SHADOW 3
    uint8_t fetched; /* the link has delivered everything */
    uint8_t trial_told;
    uint32_t trial_seq; /* of the event whose receipt confirms the trial */
    uint32_t deadline_s, shadow_s;
    char action[WHIR_MESSAGE_COMMAND_ID_MAX_BYTES + 1]; /* command behind the update */
    whir_firmware_t package;                            /* being fetched */
    uint32_t package_bytes, package_received;           /* header included */
    uint8_t package_header[WHIR_FIRMWARE_HEADER_BYTES];
    uint8_t firmware_trial;                  /* what runs now is on trial */
    uint8_t firmware_proven, firmware_heard; /* its golden vectors; its report has been receipted */
    uint32_t firmware_seq;                   /* of that report */
    uint64_t firmware_deadline_ms;
    whir_node_answer_t answers[WHIR_NODE_ANSWERS];
    uint8_t next_answer;

    whir_speed_t speed;
    int16_t ring[WHIR_NODE_FRAME_WORDS];
    int32_t features[WHIR_NODE_FRAME_WORDS];
    int32_t scratch[WHIR_FEATURES_SCRATCH_WORDS];
    union { /* a machine is not learned while a candidate runs */
        uint32_t learn_words[2 * WHIR_FEATURE_COUNT_MAX];
        whir_shadow_t shadow;
    } spare;
    int8_t input[WHIR_NODE_FRAME_WORDS];
    char message[WHIR_MESSAGE_MESSAGE_MAX_BYTES];
};

#endif
