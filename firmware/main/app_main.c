#include <stdlib.h>

#include "esp_app_desc.h"
#include "esp_log.h"
#include "esp_timer.h"
#include "inference_tflm.h"
#include "sdkconfig.h"
#include "tasks.h"
#include "whir_board.h"

#define WHIR_PORT_VERSION 2
#include "whir/whir.h"

#define BLOCKS 48

static whir_esp32_settings_t settings;
static whir_node_t node;
static whir_node_config_t config = {
    .site = settings.site, .name = settings.node, .hardware_class = settings.hardware, .sensor.name = WHIR_BOARD_SENSOR};
static whir_accel_t accel;
static whir_bus_t bus;
static struct {
    whir_flash_t flash;
    whir_crypto_t crypto;
    whir_inference_t engine;
    whir_nn_t nn;
    whir_link_t link;
    whir_output_t output;
    whir_control_t control;
    whir_firmware_slots_t firmware;
} ports;
static uint8_t arena[CONFIG_WHIR_ARENA_BYTES] __attribute__((aligned(16)));
static whir_board_t board;
static whir_factory_t factory;
static whir_loop_t loop;
static whir_wiring_t wiring = {.sensor = whir_sample_want, .sleep = whir_sample_sleep};
static whir_console_t console = {&factory, &whir_esp32_store, &ports.control};

static void start_engine(void)
{
#ifdef CONFIG_WHIR_ENGINE_TFLM
    whir_tflm_inference(&ports.engine);
#elif defined(CONFIG_WHIR_ENGINE_WHIR_NN_PLANNED)
    whir_nn_inference_planned(&ports.nn, &ports.engine);
#else
    whir_nn_inference(&ports.nn, &ports.engine);
#endif
}

static uint64_t now_us(void *ctx)
{
    return (uint64_t)esp_timer_get_time();
}

static int start_sensor(const whir_accel_settings_t *wanted)
{
    const whir_accel_part_t *part = whir_accel_find(WHIR_BOARD_SENSOR);
    uint32_t kept_mhz;
    int err = part == NULL ? WHIR_ERR_SENSOR_IDENTITY : whir_esp32_bus_init(&bus, (uint8_t)settings.own.address);

    config.memory = whir_esp32_memory(&kept_mhz);
    config.by_motion = (uint8_t)(config.memory != NULL && whir_esp32_by_motion());
    err = err < 0 ? err : whir_accel_open(&accel, part, &bus, wanted);
    if (config.memory != NULL) {
        accel.measured_mhz = kept_mhz;
    } else if (err == 0) {
        (void)whir_accel_settle(&accel, now_us, NULL); /* else the data sheet's rate holds, and the sampler tells */
    }
    if (accel.part != NULL) {
        whir_accel_info(&accel, &config.sensor);
        config.sensor.watches &= WHIR_BOARD_WAKES;
    }
    return err;
}

static void health(whir_control_t *control, whir_health_t *out)
{
    whir_esp32_health(out);
    whir_sample_health(out);
}

static void start_node(void)
{
    uint32_t ring_bytes = whir_capture_ring_bytes(&config.sensor);
    int16_t *ring = malloc(ring_bytes); /* once; without it no captures are taken */
    const whir_node_ports_t seams = {&ports.flash,  &ports.crypto,  &ports.engine,     &ports.link,
                                     &ports.output, arena,          sizeof arena,      ring,
                                     ring_bytes,    &ports.control, &whir_esp32_store, &ports.firmware};

    config.firmware_version = esp_app_get_description()->version;
    config.reset_reason = whir_esp32_reset_reason();
    config.crash = whir_esp32_crash();
    whir_node_config_settings(&config, &settings.own, settings.trial);
    config.operational = settings.operational.bytes > 0;
    config.certificate = config.operational ? settings.operational.data : settings.certificate.data;
    config.certificate_bytes = (uint32_t)(config.operational ? settings.operational.bytes : settings.certificate.bytes);
    start_engine();
    whir_esp32_firmware_init(&ports.firmware);
    ESP_ERROR_CHECK(whir_esp32_flash_init(&ports.flash, &config.layout));
    ESP_ERROR_CHECK(whir_esp32_fetch_init(&ports.link, &wiring, &settings));
    ESP_ERROR_CHECK(whir_esp32_link_start(&ports.link, &wiring, &settings));
    ESP_ERROR_CHECK(whir_esp32_wifi_init(&wiring, &settings));
    ESP_ERROR_CHECK(whir_node_init(&node, &config, &seams, whir_esp32_now_ms()));
    whir_esp32_crash_told(); /* it is in the spool now */
}

void app_main(void)
{
    static StaticQueue_t queue;
    static uint8_t storage[BLOCKS * sizeof(whir_block_t)];
    QueueHandle_t blocks = xQueueCreateStatic(BLOCKS, sizeof(whir_block_t), storage, &queue);
    int err = whir_esp32_settings_load(&settings);

    ESP_ERROR_CHECK(whir_esp32_console_start()); /* first: it tells what is wrong with the rest */
    ESP_ERROR_CHECK(whir_esp32_output_init(&ports.output, &ports.control));
    ports.control.health = health;
    if (whir_psa_crypto(&ports.crypto, settings.bundle_keys.data, settings.bundle_keys.bytes) < 0) {
        settings.refused = "bundle keys are damaged";
    }
    whir_esp32_board_init(&board, &settings, &ports.crypto);
    if (board.refused != NULL) {
        ESP_LOGE("whir", "%s (%d): provision this board", board.refused, err);
        whir_factory_init(&factory, NULL, &board);
        whir_loop_init(&loop, NULL, &factory, &wiring);
        whir_node_run(&loop, &console, blocks);
    }
    whir_accel_settings_t wanted = {.rate_mhz = CONFIG_WHIR_SENSOR_RATE_MHZ, .range_mg = settings.own.range_mg};
    /* what is none is refused when the sensor is opened */
    (void)whir_accel_axes(settings.own.axes[0] != 0 ? settings.own.axes : "+x+y+z", wanted.axes);
    err = start_sensor(&wanted);
    board.part = err == 0 ? accel.part->name : NULL;
    if (err < 0) {
        ESP_LOGE("whir", "sensor: error %d, its bus %ld", err, (long)bus.vendor_error);
    }
    start_node();
    if (accel.part != NULL) {
        whir_sample_start(&accel, &wanted, blocks);
    }
    whir_factory_init(&factory, &node, &board);
    whir_loop_init(&loop, &node, &factory, &wiring);
    whir_node_run(&loop, &console, blocks);
}
