/* ADXL355, Analog Devices data sheet rev. B. 20-bit counts, of which the upper 16 are used; each axis is a FIFO entry. */
#include "accel_parts.h"

static const whir_accel_identity_t IDENTITY[] = {{0x00, 0xAD}, {0x01, 0x1D}, {0x02, 0xED}, {0, 0}};
static const whir_accel_step_t RESET[] = {{0x2F, 0xFF, 0x52, 10}, {0}};
static const whir_accel_step_t START[] = {
    {0x29, 0xFF, 48, 0},   /* watermark 16 samples of three entries */
    {0x2A, 0xFF, 0x02, 0}, /* FIFO full, which means watermark, on INT1 */
    {0x2D, 0xFF, 0x00, 0},
    {0},
};
static const whir_accel_step_t RESTART[] = {{0x2D, 0xFF, 0x01, 0}, {0x2D, 0xFF, 0x00, 0}, {0}};
static const whir_accel_rate_t RATES[] = {{1000000, 250, 0x02}, {2000000, 500, 0x01}, {4000000, 1000, 0x00}, {0}};
static const whir_accel_range_t RANGES[] = {{2048, 62500, 0x01}, {4096, 125000, 0x02}, {8192, 250000, 0x03}, {0}};
static const whir_accel_step_t TEST_ON[] = {{0x2E, 0xFF, 0x03, 20}, {0}};
static const whir_accel_step_t TEST_OFF[] = {{0x2E, 0xFF, 0x00, 20}, {0}};
static const whir_accel_temperature_t TEMPERATURE = {
    .reg = 0x06, .big_endian = 1, .is_unsigned = 1, .zero_raw = 1885, .centi_per_1000 = -11050, .zero_cdeg = 2500};

const whir_accel_part_t whir_accel_adxl355 = {
    .name = "adxl355",
    .buses = WHIR_BUS_SPI | WHIR_BUS_I2C,
    .spi_read = 0x01,
    .spi_shift = 1,
    .identity = IDENTITY,
    .reset = RESET,
    .start = START,
    .restart = RESTART,
    .rate_reg = 0x28,
    .rate_mask = 0x0F,
    .rates = RATES,
    .range_reg = 0x2C,
    .range_mask = 0x03,
    .ranges = RANGES,
    .noise_ug_rthz = 25,
    .fifo = {.level_reg = 0x05,
             .level_bytes = 1,
             .level_mask = 0x7F,
             .level_unit = 3,
             .overrun_reg = 0x04,
             .overrun_mask = 0x04,
             .data_reg = 0x11,
             .burst = 32,
             .word_bytes = 9,
             .tag_mask = 0, /* the marker of the x axis is in the third byte */
             .axis_bytes = 3,
             .big_endian = 1,
             .shift = 8, /* of 24 bits */
             .samples = 32,
             .watermark = 16},
    .temperature = &TEMPERATURE,
    .self_test = {TEST_ON, TEST_OFF, 8192, {100, 100, 500}, {600, 600, 3000}},
};
