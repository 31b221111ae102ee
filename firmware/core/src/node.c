#include "whir/node.h"

#include <string.h>

#include "node_parts.h"
#include "whir/certificate.h"

/* Stored by the commit that counts the boot. */
static void count_reset(whir_slots_state_t *state, const char *reason)
{
    state->brownouts = (uint16_t)(state->brownouts + (strcmp(reason, "brownout") == 0));
    state->crashes = (uint16_t)(state->crashes + (strcmp(reason, "panic") == 0 || strcmp(reason, "watchdog") == 0));
}

/* Mounts everything on the flash; the boot is counted first, because the spools must know it. */
static int mount(whir_node_t *node)
{
    const whir_node_layout_t *layout = &node->config.layout;
    whir_flash_t *flash = node->ports.flash;
    int err = whir_slots_mount(&node->slots, flash, layout->state_base);

    if (err < 0) {
        return err;
    }
    node->woken = (uint8_t)whir_node_remembers(node->config.memory, node->slots.state.boot);
    if (!node->woken) {
        node->slots.state.boot++;
        count_reset(&node->slots.state, node->config.reset_reason);
        err = whir_slots_commit(&node->slots);
    }
    if (err == 0 && layout->baseline_sectors != 0) {
        err = whir_baseline_mount(&node->baseline, flash, layout->baseline_base);
    }
    if (err == 0) {
        err = whir_spool_mount(&node->alerts, flash, layout->alert_base, layout->alert_sectors, node->slots.state.boot);
    }
    if (err == 0) {
        err = whir_spool_mount(&node->telemetry, flash, layout->telemetry_base, layout->telemetry_sectors,
                               node->slots.state.boot);
    }
    if (err == 0) {
        err = whir_capture_mount(&node->capture, flash, layout->capture_base, layout->capture_slots, &node->config.sensor,
                                 node->ports.capture_ring, node->ports.capture_ring_bytes, node->slots.state.boot);
    }
    return err;
}

/* What became of the model at this boot, as events. */
static void tell_boot(whir_node_t *node, int opened, uint8_t was_trial, uint64_t now_ms)
{
    whir_event_t boot = {.kind = WHIR_EVENT_KIND_BOOT, .text = node->config.reset_reason};
    whir_event_t reverted = {.kind = WHIR_EVENT_KIND_UPDATE_REVERTED, .text = "restarted on trial", .action = node->action};

    boot.code = opened < 0 && node->slots.state.active != WHIR_SLOT_NONE ? opened : 0; /* no slot in service is no error */
    whir_node_tell_event(node, &boot, now_ms);
    if (node->config.crash != NULL) {
        whir_event_t crash = {.kind = WHIR_EVENT_KIND_CRASH, .text = node->config.crash};
        whir_node_tell_event(node, &crash, now_ms);
    }
    if (was_trial && !node->slots.state.trial) {
        whir_node_tell_event(node, &reverted, now_ms);
    }
    if (node->slots.state.trial) {
        whir_node_tell_trial(node, now_ms);
    }
}

static void read_certificate(whir_node_t *node)
{
    whir_certificate_t found;

    if (node->config.certificate != NULL &&
        whir_certificate_read(&found, node->config.certificate, node->config.certificate_bytes) == 0) {
        node->certificate_end_s = found.end_s;
    }
}

/* Before there is a model velocity is watched already. */
static void start_decide(whir_node_t *node)
{
    whir_decide_config_t config;

    whir_decide_config_default(&config, node->config.profile);
    whir_decide_init(&node->decide, &config, 0);
}

static void default_intervals(whir_node_config_t *config)
{
    if (config->telemetry_interval_ms == 0) {
        config->telemetry_interval_ms = WHIR_MESSAGE_TELEMETRY_INTERVAL_MS_DEFAULT;
    }
    if (config->status_interval_ms == 0) {
        config->status_interval_ms = WHIR_MESSAGE_STATUS_INTERVAL_MS_DEFAULT;
    }
    if (config->resend_interval_ms == 0) {
        config->resend_interval_ms = WHIR_MESSAGE_RESEND_INTERVAL_MS_DEFAULT;
    }
}

int whir_node_init(whir_node_t *node, const whir_node_config_t *config, const whir_node_ports_t *ports, uint64_t now_ms)
{
    uint8_t was_trial;
    int err;

    memset(node, 0, sizeof *node);
    node->config = *config;
    default_intervals(&node->config);
    node->ports = *ports;
    node->now_ms = now_ms;
    node->begun_ms = now_ms;
    read_certificate(node);
    if (node->config.power_mode == WHIR_POWER_MODE_MOTION && !config->sensor.watches) {
        node->config.power_mode = WHIR_POWER_MODE_SLEEP; /* as the status then says */
    }
    whir_power_init(&node->power, node->config.power_mode, config->every_ms, now_ms);
    err = mount(node);
    if (err < 0) {
        return err;
    }
    was_trial = node->slots.state.trial;
    memcpy(node->action, node->slots.state.action, sizeof node->action);
    node->policy.hardware_class = config->hardware_class;
    node->policy.kernel_set = ports->engine->kernel_set;
    node->policy.security_counter_min = node->slots.state.security_counter;
    whir_update_init(&node->update, &node->slots, ports->flash, ports->crypto, &node->policy, config->layout.slot_base,
                     config->layout.slot_bytes);
    node->verdict.top = -1;
    node->verdict.quality = WHIR_QUALITY_STARTING;
    node->verdict.novelty = WHIR_NOVELTY_NONE;
    node->deadline_s = WHIR_BUNDLE_TRIAL_DEADLINE_MS_DEFAULT / 1000;
    start_decide(node);
    (void)whir_speed_init(&node->speed, &config->sensor); /* a sensor too slow for it: somebody must tell the speed */
    whir_node_speed(node, config->machine.shaft_mhz);
    (void)whir_velocity_init(&node->velocity, &config->sensor); /* a sensor that gives none: the zone's reason says so */
    node->zone_reason = whir_zone_limits_find(&config->machine, &config->sensor, node->velocity.band_hz, &node->limits);
    node->slow_since_ms = now_ms;
    node->telemetry_ms = now_ms;
    node->daily_ms = now_ms;
    node->sending = -1;
    int opened = whir_node_open(node);
    node->told_state = whir_node_state(node);
    ports->output->set(ports->output, WHIR_SEVERITY_NONE);
    whir_node_settings_sum(node);
    if (node->woken) {
        whir_node_wake(node, config->memory, now_ms);
        return 0;
    }
    tell_boot(node, opened, was_trial, now_ms);
    whir_node_firmware_boot(node, now_ms);
    whir_node_settings_boot(node, now_ms);
    return 0;
}

void whir_node_gap(whir_node_t *node)
{
    node->gap = 1;
}

void whir_node_speed(whir_node_t *node, uint32_t shaft_mhz)
{
    if (shaft_mhz == 0 && node->shaft_told) {
        whir_speed_reset(&node->speed);
    }
    if (shaft_mhz != 0 || node->shaft_told) {
        node->shaft_mhz = shaft_mhz;
    }
    node->shaft_told = shaft_mhz != 0;
}

/* Models by orders need a speed; one that is told is not looked for. */
static void look_for_speed(whir_node_t *node, const int16_t *sample)
{
    if (whir_params_by_order(&node->bundle.params) && !node->shaft_told &&
        whir_speed_push(&node->speed, sample, node->scratch)) {
        node->shaft_mhz = node->speed.shaft_mhz;
    }
}

static void skip_gap(whir_node_t *node)
{
    node->gap = 0;
    node->received = 0;
    node->slow_since_ms = node->now_ms;
    whir_velocity_reset(&node->velocity);
    whir_capture_gap(&node->capture);
    if (!node->serving) {
        return;
    }
    whir_speed_reset(&node->speed);
    whir_condition_reset(&node->condition);
    whir_window_gap(&node->window);
    whir_mean_reset(&node->mean);
    node->verdict.top = -1;
    node->verdict.windows = 0;
    node->verdict.quality = WHIR_QUALITY_GAP;
    node->verdict.novelty = WHIR_NOVELTY_NONE;
}

int whir_node_push(whir_node_t *node, const int16_t *sample, uint64_t now_ms)
{
    int16_t conditioned[WHIR_WINDOW_CHANNELS_MAX];
    int kind, due;

    node->now_ms = now_ms;
    if (node->gap) {
        skip_gap(node);
    }
    node->received++;
    if (node->gravity_wanted != 0) {
        whir_node_mounting_push(node, sample);
    }
    whir_capture_push(&node->capture, sample);
    if (whir_velocity_push(&node->velocity, sample)) {
        whir_node_second(node, now_ms);
    }
    if (!node->serving) {
        return 0;
    }
    look_for_speed(node, sample);
    kind = whir_condition_push(&node->condition, sample, conditioned);
    if (kind == 0) {
        return 0;
    }
    node->signal_samples++;
    due = whir_window_push(&node->window, conditioned);
    if (kind == WHIR_CONDITION_CLIPPED) {
        whir_window_clip(&node->window);
    }
    return due ? whir_node_classify(node, now_ms) : 0;
}

void whir_node_step(whir_node_t *node, uint64_t now_ms)
{
    node->now_ms = now_ms;
    if (whir_node_listens(node)) {
        whir_node_watch_sensor(node, now_ms);
    }
    whir_node_update_step(node, now_ms);
    whir_node_firmware_step(node, now_ms);
    whir_node_settings_step(node, now_ms);
    whir_node_link_step(node, now_ms);
    whir_node_capture_step(node, now_ms);
    whir_node_restart_step(node, now_ms);
    whir_node_power_step(node, now_ms);
}

void whir_node_clock(whir_node_t *node, uint64_t unix_ms, uint64_t now_ms)
{
    whir_event_t event = {.kind = WHIR_EVENT_KIND_CLOCK_SET};
    uint8_t first = !node->synced;

    node->unix_at_boot_ms = unix_ms - now_ms;
    node->synced = 1;
    if (first) {
        whir_node_tell_event(node, &event, now_ms);
    }
}
