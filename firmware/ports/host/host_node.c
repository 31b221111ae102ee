#include "host_node.h"

#include <stdlib.h>
#include <string.h>

#include "host_nn.h"
#include "node_parts.h"
#include "seams.h"
#include "whir/nn.h"
#include "whir/node.h"

#define SECTOR 4096u
#define STATE_BASE 0u
#define ALERT_BASE (2 * SECTOR)
#define ALERT_SECTORS 14u
#define TELEMETRY_BASE WHIR_BUNDLE_SLOT_ALIGN_BYTES
#define TELEMETRY_SECTORS 14u
#define BASELINE_BASE (TELEMETRY_BASE + TELEMETRY_SECTORS * SECTOR)
#define SLOT_BASE (2u * WHIR_BUNDLE_SLOT_ALIGN_BYTES)
#define CAPTURE_BASE (SLOT_BASE + 2u * WHIR_BUNDLE_SLOT_BYTES)
#define STEP_US 20000u
#define FIRMWARE_SLOT_BYTES 0x170000u /* as the ESP32's */
#define OPERATIONAL_MAX_BYTES WHIR_BASE64_BYTES(WHIR_SETTINGS_TEXT_BYTES)
#define NAMES 7
#define NAME_BYTES 64

struct host_node {
    whir_node_t core;
    whir_nn_t nn;
    whir_inference_t engine;
    whir_link_t link;
    whir_output_t output;
    whir_control_t control;
    whir_firmware_slots_t firmware;
    whir_store_t store;
    whir_settings_t settings; /* in force */
    uint8_t certificate[OPERATIONAL_MAX_BYTES];
    host_node_calls_t calls;
    struct host_flash *flash;
    uint32_t input_bytes, output_bytes;
    uint64_t stepped_us;
    uint64_t erased_ms; /* of the flash, as far as it has been charged */
    uint32_t fifo_ms;
    uint32_t overruns;
    uint32_t losing; /* samples still to be lost */
    uint8_t severity;
    char names[NAMES][NAME_BYTES];
    uint8_t *arena; /* with room to align it */
    int16_t *capture_ring;
};

struct host_memory {
    whir_node_memory_t kept;
};

/* Nothing leaves a node without power, whatever its code still does before it is stopped. */
static int has_power(const host_node_t *node)
{
    return !host_flash_is_off(node->flash);
}

static int link_publish(whir_link_t *link, const char *topic, const void *payload, uint32_t bytes, int retained)
{
    host_node_t *node = link->ctx;

    return has_power(node) ? node->calls.publish(topic, payload, bytes, retained) : WHIR_ERR_BUSY;
}

static int link_fetch(whir_link_t *link, const char *url, uint32_t bytes)
{
    host_node_t *node = link->ctx;

    return has_power(node) ? node->calls.fetch(url, bytes) : WHIR_ERR_BUSY;
}

static void output_set(whir_output_t *output, uint8_t severity)
{
    host_node_t *node = output->ctx;

    node->severity = severity;
    node->calls.output(severity);
}

static void control_restart(whir_control_t *control, int forget_settings)
{
    ((host_node_t *)control->ctx)->calls.restart(forget_settings);
}

static void control_identify(whir_control_t *control, uint32_t seconds)
{
    ((host_node_t *)control->ctx)->calls.identify(seconds);
}

static void control_health(whir_control_t *control, whir_health_t *health)
{
    health->overruns = ((host_node_t *)control->ctx)->overruns;
}

#define CALLS(slots) (((host_node_t *)(slots)->ctx)->calls)

static int firmware_begin(whir_firmware_slots_t *slots, uint32_t bytes)
{
    return CALLS(slots).firmware_begin(bytes);
}

static int firmware_write(whir_firmware_slots_t *slots, const void *data, uint32_t bytes)
{
    return CALLS(slots).firmware_write(data, bytes);
}

static int firmware_end(whir_firmware_slots_t *slots)
{
    return has_power(slots->ctx) ? CALLS(slots).firmware_end() : WHIR_ERR_FLASH;
}

static void firmware_abort(whir_firmware_slots_t *slots)
{
    CALLS(slots).firmware_abort();
}

static int firmware_is_trial(whir_firmware_slots_t *slots)
{
    return CALLS(slots).firmware_is_trial();
}

static int firmware_keep(whir_firmware_slots_t *slots)
{
    return has_power(slots->ctx) ? CALLS(slots).firmware_keep() : WHIR_ERR_FLASH;
}

static void firmware_go_back(whir_firmware_slots_t *slots)
{
    if (has_power(slots->ctx)) {
        CALLS(slots).firmware_go_back();
    }
}

static int other_load(whir_inference_t *engine, const uint8_t *model, uint32_t model_bytes, uint8_t *arena,
                      uint32_t arena_bytes, whir_model_info_t *info)
{
    host_node_t *node = engine->ctx;
    host_nn_info_t found;
    int err;

    (void)arena; /* the other engine has memory of its own */
    (void)arena_bytes;
    memset(&found, 0, sizeof found);
    err = node->calls.engine_load(model, model_bytes, &found);
    if (err < 0) {
        return err;
    }
    info->input_bytes = node->input_bytes = found.input_bytes;
    info->output_bytes = node->output_bytes = found.output_bytes;
    info->arena_bytes = found.arena_bytes;
    info->input_scale_bits = found.input_scale_bits;
    info->input_zero_point = found.input_zero_point;
    info->output_scale_bits = found.output_scale_bits;
    info->output_zero_point = found.output_zero_point;
    return 0;
}

static int other_invoke(whir_inference_t *engine, const int8_t *input, int8_t *output)
{
    host_node_t *node = engine->ctx;

    return node->calls.engine_invoke(input, node->input_bytes, output, node->output_bytes);
}

static void engine_choose(host_node_t *node)
{
    if (node->calls.engine_load == NULL) {
        whir_nn_inference(&node->nn, &node->engine);
        return;
    }
    node->engine.ctx = node;
    node->engine.name = "tflm";
    node->engine.kernel_set = WHIR_KERNEL_SET_TFLM_REFERENCE;
    node->engine.load = other_load;
    node->engine.invoke = other_invoke;
}

whir_node_t *host_node_core(host_node_t *node)
{
    return &node->core;
}

static whir_node_layout_t layout(uint8_t capture_slots)
{
    whir_node_layout_t l;

    l.state_base = STATE_BASE;
    l.baseline_base = BASELINE_BASE;
    l.baseline_sectors = 2;
    l.alert_base = ALERT_BASE;
    l.alert_sectors = ALERT_SECTORS;
    l.telemetry_base = TELEMETRY_BASE;
    l.telemetry_sectors = TELEMETRY_SECTORS;
    l.slot_base[0] = SLOT_BASE;
    l.slot_base[1] = SLOT_BASE + WHIR_BUNDLE_SLOT_BYTES;
    l.slot_bytes = WHIR_BUNDLE_SLOT_BYTES;
    l.capture_base = CAPTURE_BASE;
    l.capture_slots = capture_slots;
    return l;
}

uint32_t host_node_flash_bytes(void)
{
    return CAPTURE_BASE + WHIR_CAPTURE_SLOTS_MAX * whir_capture_slot_sectors(SECTOR) * SECTOR;
}

static int slot_write(whir_flash_t *flash, uint32_t base, const uint8_t *data, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at += WHIR_FLASH_WRITE_CALL_MAX_BYTES) {
        uint8_t block[WHIR_FLASH_WRITE_CALL_MAX_BYTES];
        uint32_t here = bytes - at < sizeof block ? bytes - at : (uint32_t)sizeof block;
        int err = at % flash->sector_size == 0 ? flash->erase(flash, base + at) : 0;

        memset(block, 0xFF, sizeof block);
        memcpy(block, data + at, here);
        if (err == 0) {
            err = flash->write(flash, base + at, block, sizeof block);
        }
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int host_node_factory(struct host_flash *flash, const uint8_t *bundle, uint32_t bytes, uint32_t security_counter)
{
    whir_flash_t *seam = host_flash_seam(flash);
    whir_slots_t slots;
    int err = whir_slots_mount(&slots, seam, STATE_BASE);

    if (err < 0) {
        return err;
    }
    if (slots.state.active != WHIR_SLOT_NONE) {
        return WHIR_ERR_STATE;
    }
    if (bytes > WHIR_BUNDLE_SLOT_BYTES) {
        return WHIR_ERR_SPACE;
    }
    err = slot_write(seam, SLOT_BASE, bundle, bytes);
    if (err < 0) {
        return err;
    }
    slots.state.active = 0;
    slots.state.security_counter = security_counter;
    return whir_slots_commit(&slots);
}

static const char *keep(host_node_t *node, int index, const char *text)
{
    strncpy(node->names[index], text, NAME_BYTES - 1);
    return node->names[index];
}

static void configure(host_node_t *node, const host_node_setup_t *setup, whir_node_config_t *config)
{
    config->site = keep(node, 0, setup->site);
    config->name = keep(node, 1, setup->name);
    config->hardware_class = keep(node, 2, setup->hardware_class);
    config->firmware_version = keep(node, 3, setup->firmware_version);
    config->reset_reason = keep(node, 4, setup->reset_reason);
    config->sensor.name = keep(node, 5, setup->sensor);
    config->sensor.rate_mhz = setup->rate_mhz;
    config->sensor.bandwidth_hz = setup->bandwidth_hz;
    config->sensor.range_milli = setup->range_milli;
    config->sensor.noise_ug_rthz = setup->noise_ug_rthz;
    config->sensor.lsb_nano = setup->lsb_nano;
    config->sensor.unit = setup->unit;
    config->sensor.channels = setup->channels;
    config->machine.power_w = setup->power_w;
    config->machine.group = setup->group;
    config->machine.foundation = setup->foundation;
    config->machine.calibrated = setup->calibrated;
    config->machine.shaft_mhz = setup->shaft_mhz;
    config->profile = setup->profile;
    config->crash = setup->crash == NULL ? NULL : keep(node, 6, setup->crash);
    config->layout = layout(setup->capture_slots);
    config->power_mode = setup->power_mode;
    config->sensor.watches = setup->watches;
    config->by_motion = setup->by_motion;
    config->up = setup->up;
    config->every_ms = setup->every_ms;
    config->telemetry_interval_ms = setup->telemetry_interval_ms;
    config->status_interval_ms = setup->status_interval_ms;
    config->resend_interval_ms = setup->resend_interval_ms;
}

static void take_identity(host_node_t *node, whir_node_config_t *config)
{
    uint8_t key[WHIR_PRIVATE_KEY_BYTES];
    int bytes = host_node_identity(node, node->certificate, sizeof node->certificate, key);

    if (bytes > 0) {
        config->certificate = node->certificate;
        config->certificate_bytes = (uint32_t)bytes;
        config->operational = 1;
    }
}

static int boot(host_node_t *node, struct host_crypto *crypto, const host_node_setup_t *setup, const host_memory_t *memory,
                uint64_t now_ms)
{
    whir_node_config_t config;
    whir_node_ports_t ports;

    memset(&config, 0, sizeof config);
    memset(&ports, 0, sizeof ports);
    configure(node, setup, &config);
    ports.capture_ring_bytes = whir_capture_ring_bytes(&config.sensor);
    ports.capture_ring = node->capture_ring = malloc(ports.capture_ring_bytes);
    node->arena = malloc((size_t)setup->arena_bytes + 15);
    if (node->arena == NULL || node->capture_ring == NULL) {
        return WHIR_ERR_SPACE;
    }
    node->fifo_ms = setup->fifo_ms;
    node->erased_ms = host_flash_erased_ms(node->flash);
    engine_choose(node);
    node->link.ctx = node;
    node->link.publish = link_publish;
    node->link.fetch = link_fetch;
    node->output.ctx = node;
    node->output.set = output_set;
    node->control.ctx = node;
    node->control.restart = control_restart;
    node->control.identify = control_identify;
    ports.flash = host_flash_seam(node->flash);
    ports.crypto = host_crypto_seam(crypto);
    ports.engine = &node->engine;
    ports.link = &node->link;
    ports.output = &node->output;
    ports.control = &node->control;
    node->control.health = control_health;
    if (node->calls.firmware_begin != NULL) {
        node->firmware = (whir_firmware_slots_t){
            .ctx = node,
            .slot_bytes = FIRMWARE_SLOT_BYTES,
            .begin = firmware_begin,
            .write = firmware_write,
            .end = firmware_end,
            .abort = firmware_abort,
            .is_trial = firmware_is_trial,
            .keep = firmware_keep,
            .go_back = firmware_go_back,
        };
        ports.firmware = &node->firmware;
    }
    config.certificate = setup->certificate;
    config.certificate_bytes = setup->certificate_bytes;
    if (node->calls.store != NULL) {
        node->store = host_store_seam(node->calls.store);
        ports.store = &node->store;
        config.trial = whir_settings_load(&node->settings, &node->store);
        take_identity(node, &config);
    }
    ports.arena = node->arena + (-(uintptr_t)node->arena & 15);
    ports.arena_bytes = setup->arena_bytes;
    config.memory = memory == NULL ? NULL : &memory->kept;
    node->stepped_us = now_ms * 1000;
    return whir_node_init(&node->core, &config, &ports, now_ms);
}

host_node_t *host_node_boot(struct host_flash *flash, struct host_crypto *crypto, const host_node_setup_t *setup,
                            const host_node_calls_t *calls, const host_memory_t *memory, uint64_t now_ms, int32_t *error)
{
    host_node_t *node = calloc(1, sizeof *node);

    if (node == NULL) {
        *error = WHIR_ERR_SPACE;
        return NULL;
    }
    node->flash = flash;
    node->calls = *calls;
    *error = boot(node, crypto, setup, memory, now_ms);
    if (*error < 0) {
        host_node_free(node);
        return NULL;
    }
    return node;
}

void host_node_free(host_node_t *node)
{
    if (node != NULL) {
        free(node->arena);
        free(node->capture_ring);
        free(node);
    }
}

static void step_when_due(host_node_t *node, uint64_t now_us)
{
    if (now_us - node->stepped_us >= STEP_US) {
        node->stepped_us = now_us;
        whir_node_step(&node->core, now_us / 1000);
    }
}

/* Samples that went by while the flash was being erased and the sensor's FIFO was full. */
static uint32_t samples_lost(host_node_t *node)
{
    uint64_t erased_ms = host_flash_erased_ms(node->flash);
    uint64_t blocked_ms = erased_ms - node->erased_ms;

    node->erased_ms = erased_ms;
    if (blocked_ms <= node->fifo_ms) {
        return 0;
    }
    return (uint32_t)((blocked_ms - node->fifo_ms) * node->core.config.sensor.rate_mhz / 1000000);
}

static void record(const host_node_t *node, uint64_t now_ms, host_verdict_t *out)
{
    const whir_verdict_t *verdict = &node->core.verdict;

    out->at_ms = now_ms;
    out->rms_counts = verdict->rms_counts;
    memcpy(out->permille, verdict->permille, sizeof out->permille);
    out->class_count = verdict->class_count;
    out->top = verdict->top;
    out->windows = verdict->windows;
    out->quality = verdict->quality;
    out->novelty = verdict->novelty;
    out->zone = verdict->zone;
    out->zone_reason = verdict->zone_reason;
    out->velocity_hz = verdict->velocity_hz;
    out->velocity_um_s = verdict->velocity_um_s;
}

int host_node_run(host_node_t *node, const int16_t *samples, uint32_t frames, uint64_t start_us, host_verdict_t *verdicts,
                  uint32_t max)
{
    uint32_t rate_mhz = node->core.config.sensor.rate_mhz;
    uint8_t channels = node->core.config.sensor.channels;
    uint32_t count = 0;
    /* without samples there is nothing to do between two steps */
    uint32_t stride = samples != NULL ? 1 : (uint32_t)(((uint64_t)rate_mhz * STEP_US + 999999999u) / 1000000000u);

    for (uint32_t i = 0; i < frames && has_power(node); i += stride) {
        uint32_t lost = samples_lost(node);

        if (lost != 0) {
            whir_node_gap(&node->core);
            node->losing += lost;
            node->overruns++;
        }
        if (node->losing != 0) {
            node->losing -= node->losing < stride ? node->losing : stride;
            continue;
        }
        uint64_t now_us = start_us + (uint64_t)i * 1000000000u / rate_mhz;
        uint32_t before = node->core.verdicts;

        step_when_due(node, now_us);
        if (samples != NULL && has_power(node)) {
            /* an engine that fails is no reason to stop: the node says no_model and goes on */
            (void)whir_node_push(&node->core, samples + (size_t)i * channels, now_us / 1000);
        }
        if (node->core.verdicts != before && count < max) {
            record(node, now_us / 1000, &verdicts[count++]);
        }
    }
    return (int)count;
}

host_memory_t *host_memory_new(void)
{
    return calloc(1, sizeof(host_memory_t));
}

void host_memory_free(host_memory_t *memory)
{
    free(memory);
}

int host_node_use(const host_node_t *node, uint64_t now_ms, uint32_t *sleep_ms)
{
    whir_node_use_t use;

    whir_node_use(&node->core, &use, now_ms);
    *sleep_ms = use.sleep_ms;
    return use.sensor | use.radio << 1 | use.motion << 2;
}

void host_node_sleep(const host_node_t *node, host_memory_t *memory)
{
    whir_node_sleep(&node->core, &memory->kept);
}

void host_node_speed(host_node_t *node, uint32_t shaft_mhz)
{
    whir_node_speed(&node->core, shaft_mhz);
}

void host_node_gap(host_node_t *node)
{
    whir_node_gap(&node->core);
}

void host_node_clock(host_node_t *node, uint64_t unix_ms, uint64_t now_ms)
{
    whir_node_clock(&node->core, unix_ms, now_ms);
}

void host_node_connected(host_node_t *node, int connected, uint64_t now_ms)
{
    whir_node_connected(&node->core, connected, now_ms);
}

int host_node_will(host_node_t *node, uint8_t *json, uint32_t max)
{
    return whir_node_will(&node->core, (char *)json, max);
}

int host_node_command(host_node_t *node, const uint8_t *payload, uint32_t bytes, uint64_t now_ms)
{
    return whir_node_command(&node->core, payload, bytes, now_ms);
}

int host_node_bundle_data(host_node_t *node, const uint8_t *data, uint32_t bytes, uint64_t now_ms)
{
    return whir_node_bundle_data(&node->core, data, bytes, now_ms);
}

int host_node_bundle_end(host_node_t *node, int error, uint64_t now_ms)
{
    return whir_node_bundle_end(&node->core, error, now_ms);
}

int host_node_identity(const host_node_t *node, uint8_t *der, uint32_t max, uint8_t *key)
{
    return whir_settings_identity(&node->settings, der, max, key);
}

int host_node_anchors(const host_node_t *node, char *pem, uint32_t max)
{
    return whir_settings_anchors(&node->settings, pem, max);
}

int host_node_stop(host_node_t *node, uint64_t now_ms)
{
    return whir_node_stop(&node->core, now_ms);
}

void host_node_look(const host_node_t *node, host_node_view_t *view)
{
    const whir_node_t *core = &node->core;

    memset(view, 0, sizeof *view);
    view->boot = core->slots.state.boot;
    view->conn = core->conn;
    view->seq = core->seq;
    view->verdicts = core->verdicts;
    view->state = whir_node_state(core);
    view->slot = core->slots.state.active;
    view->trial = core->slots.state.trial;
    view->serving = core->serving;
    view->severity = node->severity;
    view->updating = core->updating;
    view->security_counter = core->slots.state.security_counter;
    view->capturing = core->capture.recording >= 0;
    for (int i = 0; i < core->capture.slot_count; i++) {
        view->captures_waiting += core->capture.slots[i].state == WHIR_CAPTURE_FULL;
    }
    view->captures_dropped = core->capture.dropped;
    view->pending_alerts = core->alerts.pending;
    view->pending_telemetry = core->telemetry.pending;
    view->dropped = core->alerts.dropped + core->telemetry.dropped + core->lost;
    view->state_bytes = sizeof *core;
    if (core->serving) {
        memcpy(view->model, core->bundle.model_name, sizeof view->model);
        memcpy(view->model_version, core->bundle.model_version, sizeof view->model_version);
    }
}
