#include <string.h>

#include "driver/gpio.h"
#include "driver/i2c_master.h"
#include "driver/spi_master.h"
#include "esp_attr.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "port.h"
#include "whir_board.h"

#define TRANSFER_BYTES_MAX (2 + WHIR_ACCEL_BURST * WHIR_ACCEL_WORD_BYTES_MAX)
#define TIMEOUT_MS 20

static TaskHandle_t woken;

static void wait_ms(whir_bus_t *bus, uint32_t ms)
{
    vTaskDelay(pdMS_TO_TICKS(ms) + 1);
}

#ifdef WHIR_BOARD_BUS_SPI
static spi_device_handle_t device;
/* Full duplex over DMA: what comes in while the address goes out is thrown away. */
static DMA_ATTR uint8_t sent[TRANSFER_BYTES_MAX], received[TRANSFER_BYTES_MAX];

static int transfer(whir_bus_t *bus, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes)
{
    spi_transaction_t t = {.length = 8 * (out_bytes + in_bytes), .tx_buffer = sent, .rx_buffer = received};

    if (out_bytes + in_bytes > TRANSFER_BYTES_MAX) {
        return WHIR_ERR_ARG;
    }
    memcpy(sent, out, out_bytes);
    memset(sent + out_bytes, 0, in_bytes);
    bus->vendor_error = spi_device_transmit(device, &t);
    if (bus->vendor_error != ESP_OK) {
        return WHIR_ERR_SENSOR_BUS;
    }
    if (in_bytes > 0) {
        memcpy(in, received + out_bytes, in_bytes);
    }
    return 0;
}

int whir_esp32_bus_init(whir_bus_t *bus, uint8_t address)
{
    const spi_bus_config_t pins = {.mosi_io_num = WHIR_BOARD_PIN_MOSI,
                                   .miso_io_num = WHIR_BOARD_PIN_MISO,
                                   .sclk_io_num = WHIR_BOARD_PIN_SCLK,
                                   .quadwp_io_num = -1,
                                   .quadhd_io_num = -1,
                                   .max_transfer_sz = TRANSFER_BYTES_MAX};
    const spi_device_interface_config_t config = {
        .mode = 3, .clock_speed_hz = WHIR_BOARD_BUS_SPEED_HZ, .spics_io_num = WHIR_BOARD_PIN_CS, .queue_size = 1};

    *bus = (whir_bus_t){.kind = WHIR_BUS_SPI, .transfer = transfer, .wait_ms = wait_ms};
    bus->vendor_error = spi_bus_initialize(SPI2_HOST, &pins, SPI_DMA_CH_AUTO);
    if (bus->vendor_error == ESP_OK) {
        bus->vendor_error = spi_bus_add_device(SPI2_HOST, &config, &device);
    }
    return bus->vendor_error == ESP_OK ? 0 : WHIR_ERR_SENSOR_BUS;
}
#else
static i2c_master_dev_handle_t device;

static int transfer(whir_bus_t *bus, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes)
{
    bus->vendor_error = in_bytes > 0 ? i2c_master_transmit_receive(device, out, out_bytes, in, in_bytes, TIMEOUT_MS)
                                     : i2c_master_transmit(device, out, out_bytes, TIMEOUT_MS);
    return bus->vendor_error == ESP_OK ? 0 : WHIR_ERR_SENSOR_BUS;
}

int whir_esp32_bus_init(whir_bus_t *bus, uint8_t address)
{
    const i2c_master_bus_config_t pins = {.i2c_port = -1,
                                          .sda_io_num = WHIR_BOARD_PIN_SDA,
                                          .scl_io_num = WHIR_BOARD_PIN_SCL,
                                          .clk_source = I2C_CLK_SRC_DEFAULT,
                                          .glitch_ignore_cnt = 7,
                                          .flags.enable_internal_pullup = 1};
    const i2c_device_config_t config = {.dev_addr_length = I2C_ADDR_BIT_LEN_7,
                                        .device_address = address != 0 ? address : WHIR_BOARD_SENSOR_ADDRESS,
                                        .scl_speed_hz = WHIR_BOARD_BUS_SPEED_HZ};
    i2c_master_bus_handle_t master;

    *bus = (whir_bus_t){.kind = WHIR_BUS_I2C, .transfer = transfer, .wait_ms = wait_ms};
    bus->vendor_error = i2c_new_master_bus(&pins, &master);
    if (bus->vendor_error == ESP_OK) {
        bus->vendor_error = i2c_master_bus_add_device(master, &config, &device);
    }
    return bus->vendor_error == ESP_OK ? 0 : WHIR_ERR_SENSOR_BUS;
}
#endif

static void IRAM_ATTR on_interrupt(void *argument)
{
    BaseType_t switch_now = pdFALSE;

    vTaskNotifyGiveFromISR(woken, &switch_now);
    portYIELD_FROM_ISR(switch_now);
}

int whir_esp32_interrupt_init(void *task)
{
    const gpio_config_t pin = {
        .pin_bit_mask = 1ull << WHIR_BOARD_PIN_INTERRUPT, .mode = GPIO_MODE_INPUT, .intr_type = GPIO_INTR_POSEDGE};

    woken = task;
    return gpio_config(&pin) == ESP_OK && gpio_install_isr_service(ESP_INTR_FLAG_IRAM) == ESP_OK &&
                   gpio_isr_handler_add(WHIR_BOARD_PIN_INTERRUPT, on_interrupt, NULL) == ESP_OK
               ? 0
               : WHIR_ERR_STATE;
}
