#include "whir/messages.h"

#include <stddef.h>
#include <string.h>

#include "whir/json.h"

#define NAME_CASE(value, name)                                                                                                 \
    case value:                                                                                                                \
        return name;

const char *whir_error_name(int code)
{
    switch (code) {
    case 0:
        return NULL;
        WHIR_ERROR_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static const char *node_state_name(uint8_t state)
{
    switch (state) {
        WHIR_NODE_STATE_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static const char *alert_state_name(uint8_t state)
{
    switch (state) {
        WHIR_ALERT_STATE_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static const char *severity_name(uint8_t severity)
{
    switch (severity) {
        WHIR_SEVERITY_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static const char *event_kind_name(uint8_t kind)
{
    switch (kind) {
        WHIR_EVENT_KIND_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static const char *ack_result_name(uint8_t result)
{
    switch (result) {
        WHIR_ACK_RESULT_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static const char *power_mode_name(uint8_t mode)
{
    switch (mode) {
        WHIR_POWER_MODE_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static const char *unit_name(uint8_t unit)
{
    switch (unit) {
        WHIR_UNIT_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static void stamp_fields(whir_json_t *j, const whir_stamp_t *stamp)
{
    whir_json_u64(j, "boot", stamp->boot);
    whir_json_u64(j, "seq", stamp->seq);
    whir_json_u64(j, "ts", stamp->ts);
    whir_json_bool(j, "synced", stamp->synced);
}

static void begin(whir_json_t *j, const whir_stamp_t *stamp, char *out, uint32_t max)
{
    whir_json_begin(j, out, max);
    whir_json_u64(j, "v", WHIR_MESSAGE_VERSION);
    stamp_fields(j, stamp);
}

static void null_or_u64(whir_json_t *j, const char *key, int present, uint64_t value)
{
    if (present) {
        whir_json_u64(j, key, value);
    } else {
        whir_json_string(j, key, NULL);
    }
}

static void known_or_null(whir_json_t *j, const char *key, uint32_t value)
{
    null_or_u64(j, key, value != WHIR_HEALTH_UNKNOWN, value);
}

static void model_fields(whir_json_t *j, const whir_service_t *service, int with_version)
{
    const whir_bundle_t *bundle = service->bundle;

    whir_json_string(j, "model", bundle != NULL ? bundle->model_name : NULL);
    if (with_version) {
        whir_json_string(j, "model_version", bundle != NULL ? bundle->model_version : NULL);
    }
    null_or_u64(j, "counter", bundle != NULL, bundle != NULL ? bundle->security_counter : 0);
}

static void slot_field(whir_json_t *j, const whir_service_t *service)
{
    whir_json_string(j, "slot", service->bundle == NULL ? NULL : service->slot == 0 ? "a" : "b");
}

int whir_message_status(const whir_stamp_t *stamp, const whir_status_t *status, const whir_service_t *service, char *out,
                        uint32_t max)
{
    whir_json_t j;

    begin(&j, stamp, out, max);
    whir_json_string(&j, "site", status->site);
    whir_json_string(&j, "node", status->node);
    whir_json_u64(&j, "conn", status->conn);
    whir_json_string(&j, "state", node_state_name(status->state));
    whir_json_u64(&j, "next_s", status->next_s);
    whir_json_string(&j, "fw", status->firmware);
    whir_json_string(&j, "hardware", status->hardware);
    whir_json_string(&j, "engine", status->engine);
    model_fields(&j, service, 1);
    slot_field(&j, service);
    whir_json_bool(&j, "trial", service->trial);
    whir_json_string(&j, "sensor", status->sensor);
    whir_json_u64(&j, "rate_mhz", status->rate_mhz);
    whir_json_u64(&j, "dropped", status->dropped);
    whir_json_u64(&j, "captures_dropped", status->captures_dropped);
    whir_json_string(&j, "reset", status->reset);
    whir_json_u64(&j, "fw_counter", status->firmware_counter);
    whir_json_bool(&j, "fw_trial", status->firmware_trial);
    whir_json_string(&j, "power", power_mode_name(status->power));
    whir_json_u64(&j, "brownouts", status->brownouts);
    whir_json_u64(&j, "crashes", status->crashes);
    known_or_null(&j, "heap_min", status->health.heap_min);
    known_or_null(&j, "stack_min", status->health.stack_min);
    whir_json_string(&j, "stack_task", status->health.stack_task);
    known_or_null(&j, "overruns", status->health.overruns);
    known_or_null(&j, "reopens", status->health.reopens);
    whir_json_string(&j, "cert", status->certificate);
    null_or_u64(&j, "cert_end", status->certificate != NULL, status->certificate_end_s);
    whir_json_u64(&j, "settings", status->settings);
    return whir_json_end(&j);
}

int whir_message_will(const char *site, const char *node, uint32_t boot, uint32_t conn, char *out, uint32_t max)
{
    whir_json_t j;

    whir_json_begin(&j, out, max);
    whir_json_u64(&j, "v", WHIR_MESSAGE_VERSION);
    whir_json_string(&j, "site", site);
    whir_json_string(&j, "node", node);
    whir_json_u64(&j, "boot", boot);
    whir_json_u64(&j, "conn", conn);
    whir_json_string(&j, "state", node_state_name(WHIR_NODE_STATE_LOST));
    return whir_json_end(&j);
}

static const char *zone_name(uint8_t zone)
{
    switch (zone) {
        WHIR_ZONE_NAMES(NAME_CASE)
    default:
        return NULL;
    }
}

static const char *zone_reason_name(uint8_t reason)
{
    switch (reason) {
        WHIR_ZONE_REASON_NAMES(NAME_CASE)
    default:
        return "unknown";
    }
}

static void level_fields(whir_json_t *j, const whir_verdict_t *verdict)
{
    int given = verdict->zone != WHIR_ZONE_NONE;

    null_or_u64(j, "novelty", verdict->novelty != WHIR_NOVELTY_NONE, verdict->novelty);
    whir_json_string(j, "zone", given ? zone_name(verdict->zone) : NULL);
    whir_json_string(j, "zone_reason", given ? NULL : zone_reason_name(verdict->zone_reason));
    null_or_u64(j, "velocity", verdict->velocity_hz != 0, verdict->velocity_um_s);
}

static void class_maps(whir_json_t *j, const whir_verdict_t *verdict, const whir_tally_t *tally, const whir_bundle_t *bundle)
{
    uint8_t count = bundle != NULL ? bundle->class_count : 0;

    whir_json_map(j, "classes");
    for (uint8_t c = 0; c < count && verdict->top >= 0; c++) {
        whir_json_u64(j, bundle->classes[c], verdict->permille[c]);
    }
    whir_json_map_end(j);
    whir_json_map(j, "verdicts");
    for (uint8_t c = 0; c < count; c++) {
        if (tally->of_class[c] != 0) {
            whir_json_u64(j, bundle->classes[c], tally->of_class[c]);
        }
    }
    if (tally->unknown != 0) {
        whir_json_u64(j, "unknown", tally->unknown);
    }
    whir_json_map_end(j);
}

int whir_message_telemetry(const whir_stamp_t *stamp, uint32_t next_s, const whir_verdict_t *verdict, const whir_tally_t *tally,
                           const whir_service_t *service, char *out, uint32_t max)
{
    const whir_bundle_t *bundle = service->bundle;
    int known = bundle != NULL && verdict->top >= 0;
    whir_json_t j;

    begin(&j, stamp, out, max);
    whir_json_u64(&j, "next_s", next_s);
    whir_json_string(&j, "verdict", known ? bundle->classes[verdict->top] : "unknown");
    whir_json_u64(&j, "p", known ? verdict->permille[verdict->top] : 0);
    class_maps(&j, verdict, tally, bundle);
    whir_json_u64(&j, "windows", verdict->windows);
    whir_json_u64(&j, "quality", verdict->quality);
    level_fields(&j, verdict);
    null_or_u64(&j, "velocity_hz", verdict->velocity_hz != 0, verdict->velocity_hz);
    if (bundle != NULL) { /* without one there are no windows to measure */
        uint64_t nano = (uint64_t)verdict->rms_counts * bundle->params.lsb_nano;
        whir_json_u64(&j, "rms", (nano + 500000) / 1000000);
        whir_json_string(&j, "unit", unit_name(bundle->params.unit));
    }
    model_fields(&j, service, 0);
    slot_field(&j, service);
    return whir_json_end(&j);
}

/* "node-boot-seq" of the raise; the digits come from the writer itself. */
static void occurrence_field(whir_json_t *j, const whir_alert_message_t *alert)
{
    char text[WHIR_NAME_NAME_MAX_BYTES + 2 * 11 + 1];
    char digits[10];
    uint32_t numbers[2] = {alert->occurrence_boot, alert->occurrence_seq};
    uint32_t at = 0;

    while (at < WHIR_NAME_NAME_MAX_BYTES && alert->node[at] != 0) {
        text[at] = alert->node[at];
        at++;
    }
    for (int i = 0; i < 2; i++) {
        uint32_t first = sizeof digits;
        uint32_t value = numbers[i];
        do {
            digits[--first] = (char)('0' + value % 10);
            value /= 10;
        } while (value != 0);
        text[at++] = '-';
        memcpy(text + at, digits + first, sizeof digits - first);
        at += (uint32_t)sizeof digits - first;
    }
    text[at] = 0;
    whir_json_string(j, "occurrence", text);
}

int whir_message_alert(const whir_stamp_t *stamp, const whir_alert_message_t *alert, const whir_service_t *service, char *out,
                       uint32_t max)
{
    whir_json_t j;

    begin(&j, stamp, out, max);
    whir_json_string(&j, "site", alert->site);
    whir_json_string(&j, "node", alert->node);
    whir_json_string(&j, "machine", NULL);
    whir_json_string(&j, "point", NULL);
    occurrence_field(&j, alert);
    whir_json_string(&j, "state", alert_state_name(alert->decision.state));
    whir_json_string(&j, "severity", severity_name(alert->decision.severity));
    whir_json_string(&j, "verdict", alert->class_name);
    whir_json_u64(&j, "p", alert->permille);
    level_fields(&j, alert->verdict);
    whir_json_u64(&j, "quality", alert->quality);
    model_fields(&j, service, 0);
    return whir_json_end(&j);
}

int whir_message_event(const whir_stamp_t *stamp, const whir_event_t *event, const whir_service_t *service, char *out,
                       uint32_t max)
{
    whir_json_t j;

    begin(&j, stamp, out, max);
    whir_json_string(&j, "kind", event_kind_name(event->kind));
    whir_json_string(&j, "code", whir_error_name(event->code));
    whir_json_string(&j, "text", event->text);
    whir_json_string(&j, "action", event->action);
    whir_json_string(&j, "fw", event->firmware);
    model_fields(&j, service, 1);
    slot_field(&j, service);
    if (event->mismatch != NULL) {
        whir_json_u64(&j, "vector", event->mismatch->vector);
        whir_json_u64(&j, "byte", event->mismatch->byte);
        whir_json_i32(&j, "got", event->mismatch->got);
        whir_json_i32(&j, "wanted", event->mismatch->wanted);
    }
    if (event->shadow != NULL) {
        whir_json_u64(&j, "pairs", event->shadow->pairs);
        whir_json_u64(&j, "differ", event->shadow->differ);
        whir_json_u64(&j, "fault_new", event->shadow->fault_new);
        whir_json_u64(&j, "fault_old", event->shadow->fault_old);
        whir_json_u64(&j, "unknown_new", event->shadow->unknown_new);
        whir_json_u64(&j, "unknown_old", event->shadow->unknown_old);
        whir_json_u64(&j, "alerts_new", event->shadow->alerts_new);
        whir_json_u64(&j, "alerts_old", event->shadow->alerts_old);
    }
    return whir_json_end(&j);
}

int whir_message_ack(const whir_stamp_t *stamp, const whir_command_t *command, uint8_t result, int code, char *out,
                     uint32_t max)
{
    whir_json_t j;

    begin(&j, stamp, out, max);
    whir_json_string(&j, "id", command->id);
    whir_json_string(&j, "c", command->c);
    whir_json_string(&j, "result", ack_result_name(result));
    whir_json_string(&j, "code", whir_error_name(code));
    return whir_json_end(&j);
}
