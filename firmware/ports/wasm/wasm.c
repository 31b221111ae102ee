#define WHIR_PORT_VERSION 2 /* the seam that this port was written for */

#include "wasm.h"

#include <string.h>

#include "seams.h"
#include "whir/whir.h"

#define STEP_US 20000u
#define FIRMWARE_VERSION "browser"
/* Where things lie on the flash; the same places as the computer's virtual node has. */
#define TELEMETRY_SECTORS 14u
#define SLOT_BASE (2u * WHIR_BUNDLE_SLOT_ALIGN_BYTES)

static uint8_t buffer[WHIR_BUNDLE_SLOT_BYTES] __attribute__((aligned(16)));
static uint8_t arena[WASM_ARENA_BYTES] __attribute__((aligned(16)));
static int16_t conditioned[WASM_CONDITIONED_MAX * WHIR_WINDOW_CHANNELS_MAX];
static int8_t scores[WHIR_VERDICT_CLASSES_MAX];
static whir_node_t node;
static whir_nn_t nn;
static whir_inference_t engine;
static int (*engine_invoke)(whir_inference_t *engine, const int8_t *input, int8_t *output);
static uint64_t samples_run, stepped_us;

const whir_node_t *wasm_node(void)
{
    return &node;
}

const int8_t *wasm_scores(void)
{
    return scores;
}

static int link_publish(whir_link_t *link, const char *topic, const void *payload, uint32_t bytes, int retained)
{
    (void)link;
    return publish(topic, payload, bytes, retained);
}

static int link_fetch(whir_link_t *link, const char *url, uint32_t bytes)
{
    (void)link;
    return fetch(url, bytes);
}

static void output_set(whir_output_t *to, uint8_t severity)
{
    (void)to;
    output(severity);
}

static void control_restart(whir_control_t *control, int forget_settings)
{
    (void)control;
    restart(forget_settings);
}

static void control_identify(whir_control_t *control, uint32_t seconds)
{
    (void)control;
    identify(seconds);
}

/* Samples come without a FIFO in between: none is ever read too late. */
static void control_health(whir_control_t *control, whir_health_t *health)
{
    (void)control;
    health->overruns = 0;
}

/* Keeps what the engine said for the page. Golden vectors of a candidate pass here too, but are no window. */
static int invoke(whir_inference_t *e, const int8_t *input, int8_t *out)
{
    int err = engine_invoke(e, input, out);

    if (err >= 0 && !node.updating) {
        memcpy(scores, out, node.info.output_bytes);
        window();
    }
    return err;
}

uint8_t *wasm_buffer(void)
{
    return buffer;
}

uint32_t wasm_buffer_bytes(void)
{
    return sizeof buffer;
}

void wasm_vouch(uint32_t key_id)
{
    wasm_crypto_vouch(key_id, buffer);
}

int wasm_factory(uint32_t bytes)
{
    whir_flash_t *flash = wasm_flash();
    whir_slots_t slots;
    int err;

    if (bytes > sizeof buffer) {
        return WHIR_ERR_SPACE;
    }
    wasm_flash_wipe();
    memset(buffer + bytes, 0xFF, sizeof buffer - bytes);
    for (uint32_t at = 0; at < bytes; at += WHIR_FLASH_WRITE_CALL_MAX_BYTES) {
        err = flash->write(flash, SLOT_BASE + at, buffer + at, WHIR_FLASH_WRITE_CALL_MAX_BYTES);
        if (err < 0) {
            return err;
        }
    }
    err = whir_slots_mount(&slots, flash, 0);
    if (err < 0) {
        return err;
    }
    slots.state.active = 0;
    return whir_slots_commit(&slots);
}

int wasm_boot(uint32_t rate_mhz, uint32_t bandwidth_hz, uint32_t range_milli, uint32_t noise_ug_rthz, uint32_t lsb_nano,
              uint32_t unit, uint32_t channels, uint32_t power_w, uint32_t group, uint32_t foundation, uint32_t calibrated)
{
    static whir_link_t link = {.publish = link_publish, .fetch = link_fetch};
    static whir_output_t led = {.set = output_set};
    static whir_control_t control = {.restart = control_restart, .identify = control_identify, .health = control_health};
    const whir_node_config_t config = {
        .site = "browser",
        .name = "virtual-esp32",
        .hardware_class = "esp32",
        .firmware_version = FIRMWARE_VERSION,
        .reset_reason = "power_on",
        .sensor = {"virtual", rate_mhz, bandwidth_hz, range_milli, noise_ug_rthz, lsb_nano, (uint8_t)unit, (uint8_t)channels,
                   0},
        .machine = {power_w, (uint8_t)group, (uint8_t)foundation, (uint8_t)calibrated, 0},
        .layout = {.state_base = 0,
                   .slot_base = {SLOT_BASE, SLOT_BASE + WHIR_BUNDLE_SLOT_BYTES},
                   .slot_bytes = WHIR_BUNDLE_SLOT_BYTES,
                   .alert_base = 2 * WASM_SECTOR,
                   .alert_sectors = 14,
                   .telemetry_base = WHIR_BUNDLE_SLOT_ALIGN_BYTES,
                   .telemetry_sectors = TELEMETRY_SECTORS,
                   .baseline_base = WHIR_BUNDLE_SLOT_ALIGN_BYTES + TELEMETRY_SECTORS * WASM_SECTOR,
                   .baseline_sectors = 2},
        .profile = WHIR_PROFILE_FAST, /* nobody waits ten minutes for a demonstration */
        .telemetry_interval_ms = 5000,
        .status_interval_ms = WHIR_MESSAGE_STATUS_INTERVAL_MS_DEFAULT,
        .resend_interval_ms = WHIR_MESSAGE_RESEND_INTERVAL_MS_DEFAULT,
    };
    const whir_node_ports_t ports = {.flash = wasm_flash(),
                                     .crypto = wasm_crypto(),
                                     .engine = &engine,
                                     .link = &link,
                                     .output = &led,
                                     .control = &control,
                                     .arena = arena,
                                     .arena_bytes = sizeof arena};
    int err;

    if (channels < 1 || channels > WHIR_WINDOW_CHANNELS_MAX || rate_mhz == 0) {
        return WHIR_ERR_ARG;
    }
    whir_nn_inference(&nn, &engine);
    engine_invoke = engine.invoke;
    engine.invoke = invoke;
    samples_run = 0;
    stepped_us = 0;
    err = whir_node_init(&node, &config, &ports, 0);
    if (err == 0) { /* the page is broker and fleet, and always there; the will is made because it counts connections */
        (void)whir_node_will(&node, (char *)(void *)buffer, sizeof buffer);
        whir_node_connected(&node, 1, 0);
    }
    return err;
}

static uint64_t now_us(void)
{
    return samples_run * 1000000000u / node.config.sensor.rate_mhz;
}

uint32_t wasm_now_ms(void)
{
    return (uint32_t)(now_us() / 1000);
}

/* The newest sample of the window's ring, behind the last one kept; when there is no more room, the older half goes. */
static uint32_t keep(uint32_t kept)
{
    uint32_t channels = node.window.channels;
    uint32_t newest = (node.window.head == 0 ? node.window.samples : node.window.head) - 1u;

    if (kept == WASM_CONDITIONED_MAX) {
        kept /= 2;
        memmove(conditioned, conditioned + kept * channels, kept * channels * sizeof conditioned[0]);
    }
    memcpy(conditioned + kept * channels, node.window.buffer + newest * channels, channels * sizeof conditioned[0]);
    return kept + 1;
}

int wasm_run(uint32_t frames)
{
    const int16_t *samples = (const int16_t *)(const void *)buffer;
    uint32_t channels = node.config.sensor.channels;
    uint32_t kept = 0;

    if (frames > sizeof buffer / (channels * sizeof samples[0])) {
        return WHIR_ERR_SPACE;
    }
    for (uint32_t i = 0; i < frames; i++) {
        uint64_t at_us = now_us(), before = node.signal_samples;
        uint32_t verdicts = node.verdicts;

        if (at_us - stepped_us >= STEP_US) {
            stepped_us = at_us;
            whir_node_step(&node, at_us / 1000);
        }
        /* an engine that fails is no reason to stop: the node says no_model and goes on */
        (void)whir_node_push(&node, samples + i * channels, at_us / 1000);
        samples_run++;
        kept = node.signal_samples == before ? kept : keep(kept);
        if (node.verdicts != verdicts) {
            verdict();
        }
    }
    return (int)kept;
}

const int16_t *wasm_conditioned(void)
{
    return conditioned;
}

void wasm_gap(void)
{
    whir_node_gap(&node);
}

int wasm_command(uint32_t bytes)
{
    return whir_node_command(&node, buffer, bytes, wasm_now_ms());
}

int wasm_bundle_data(uint32_t bytes)
{
    return whir_node_bundle_data(&node, buffer, bytes, wasm_now_ms());
}

int wasm_bundle_end(int error)
{
    return whir_node_bundle_end(&node, error, wasm_now_ms());
}
