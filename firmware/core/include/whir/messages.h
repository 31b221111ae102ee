#ifndef WHIR_MESSAGES_H
#define WHIR_MESSAGES_H

#include <stdint.h>

#include "whir/bundle.h"
#include "whir/command.h"
#include "whir/decide.h"
#include "whir/health.h"
#include "whir/update.h"

/*
 * The node's messages by contracts/messages.toml, as JSON. Each function writes one into `out` and returns its length, or
 * WHIR_ERR_SPACE. Strings may be any bytes; NULL is null.
 */

/* On every message. */
typedef struct whir_stamp {
    uint32_t boot, seq;
    uint64_t ts; /* ms since 1970 when synced, else since boot */
    uint8_t synced;
} whir_stamp_t;

/* The model in service; bundle NULL = none. */
typedef struct whir_service {
    const whir_bundle_t *bundle;
    uint8_t slot; /* 0 = a, 1 = b */
    uint8_t trial;
} whir_service_t;

typedef struct whir_status {
    uint32_t firmware_counter, brownouts, crashes;
    uint8_t firmware_trial, power;
    uint32_t settings;
    whir_health_t health;
    const char *site, *node, *firmware, *hardware, *engine, *sensor, *reset;
    uint32_t conn;
    uint8_t state; /* WHIR_NODE_STATE_… */
    uint32_t next_s;
    uint32_t rate_mhz;
    uint32_t dropped;
    uint32_t captures_dropped;
    const char *certificate; /* NULL: none */
    uint64_t certificate_end_s;
} whir_status_t;

int whir_message_status(const whir_stamp_t *stamp, const whir_status_t *status, const whir_service_t *service, char *out,
                        uint32_t max);
/* The last will: the broker publishes it, so it knows neither seq nor time. */
int whir_message_will(const char *site, const char *node, uint32_t boot, uint32_t conn, char *out, uint32_t max);

/* Verdicts counted since the last telemetry: by class, and those without one. */
typedef struct whir_tally {
    uint32_t of_class[WHIR_VERDICT_CLASSES_MAX];
    uint32_t unknown;
} whir_tally_t;

/* `verdict` is the latest. */
int whir_message_telemetry(const whir_stamp_t *stamp, uint32_t next_s, const whir_verdict_t *verdict, const whir_tally_t *tally,
                           const whir_service_t *service, char *out, uint32_t max);

typedef struct whir_alert_message {
    const char *site, *node;
    uint32_t occurrence_boot, occurrence_seq; /* of the raise */
    whir_decision_t decision;
    const char *class_name;
    uint16_t permille;
    uint8_t quality;
    const whir_verdict_t *verdict; /* for novelty, velocity and zone */
} whir_alert_message_t;

int whir_message_alert(const whir_stamp_t *stamp, const whir_alert_message_t *alert, const whir_service_t *service, char *out,
                       uint32_t max);

/* What a candidate said beside the model in service; `new` is the candidate. Pairs are of verdicts on the same windows. */
typedef struct whir_shadow_counts {
    uint32_t pairs, differ;
    uint32_t fault_new, fault_old;     /* only one of the two named a fault */
    uint32_t unknown_new, unknown_old; /* only one of the two did not know */
    uint32_t alerts_new, alerts_old;   /* raised */
} whir_shadow_counts_t;

typedef struct whir_event {
    uint8_t kind;                           /* WHIR_EVENT_KIND_… */
    int code;                               /* WHIR_ERR_…, 0 on success */
    const char *text;                       /* for people, or NULL */
    const char *action;                     /* id of the command that caused it, or NULL */
    const char *firmware;                   /* that runs */
    const whir_golden_mismatch_t *mismatch; /* with WHIR_ERR_BUNDLE_GOLDEN, else NULL */
    const whir_shadow_counts_t *shadow;     /* of the kind update_shadow, else NULL */
} whir_event_t;

int whir_message_event(const whir_stamp_t *stamp, const whir_event_t *event, const whir_service_t *service, char *out,
                       uint32_t max);
int whir_message_ack(const whir_stamp_t *stamp, const whir_command_t *command, uint8_t result, int code, char *out,
                     uint32_t max);

/* The error's name on the wire, NULL for 0. */
const char *whir_error_name(int code);

#endif
