/* ADXL345, Analog Devices data sheet rev. G. Its FIFO gives one sample for each read of the data registers. */
#include "accel_parts.h"

#define FULL_RESOLUTION 0x08

static const whir_accel_identity_t IDENTITY[] = {{0x00, 0xE5}, {0, 0}};
static const whir_accel_step_t RESET[] = {{0x2D, 0xFF, 0x00, 0}, {0x2E, 0xFF, 0x00, 0}, {0x38, 0xFF, 0x00, 0}, {0}};
static const whir_accel_step_t START[] = {
    {0x2F, 0xFF, 0x00, 0}, /* all interrupts on INT1 */
    {0x38, 0xFF, 0x90, 0}, /* stream, watermark 16 */
    {0x2E, 0xFF, 0x02, 0}, /* watermark interrupt */
    {0x2D, 0xFF, 0x08, 2}, /* measure; it takes 1.1 ms */
    {0},
};
static const whir_accel_step_t RESTART[] = {{0x38, 0xFF, 0x00, 0}, {0x38, 0xFF, 0x90, 0}, {0}};
static const whir_accel_step_t WATCH[] = {
    {0x2C, 0xFF, 0x1A, 0},  /* 100 Hz, low power */
    {0x24, 0xFF, 1, 0},     /* activity at 62.5 mg */
    {0x27, 0xFF, 0xF0, 0},  /* of any axis, against where it was: gravity is none */
    {0x2F, 0xFF, 0x00, 0},  /* on INT1 */
    {0x2D, 0xFF, 0x08, 50}, /* measure */
    {0x2E, 0xFF, 0x10, 0},  {0},
};
static const whir_accel_rate_t RATES[] = {{800000, 400, 0x0D}, {1600000, 800, 0x0E}, {3200000, 1600, 0x0F}, {0}};
static const whir_accel_range_t RANGES[] = {
    {2000, 3900000, FULL_RESOLUTION | 0},
    {4000, 3900000, FULL_RESOLUTION | 1},
    {8000, 3900000, FULL_RESOLUTION | 2},
    {16000, 3900000, FULL_RESOLUTION | 3},
    {0},
};
static const whir_accel_step_t TEST_ON[] = {{0x31, 0x80, 0x80, 10}, {0}};
static const whir_accel_step_t TEST_OFF[] = {{0x31, 0x80, 0x00, 10}, {0}};

const whir_accel_part_t whir_accel_adxl345 = {
    .name = "adxl345",
    .buses = WHIR_BUS_SPI | WHIR_BUS_I2C,
    .spi_read = 0x80,
    .spi_multi = 0x40,
    .identity = IDENTITY,
    .reset = RESET,
    .start = START,
    .restart = RESTART,
    .watch = WATCH,
    .rate_reg = 0x2C,
    .rate_mask = 0x1F,
    .rates = RATES,
    .range_reg = 0x31,
    .range_mask = 0x0B,
    .ranges = RANGES,
    .noise_ug_rthz = 490, /* the z axis: 1.1 counts rms at 100 Hz */
    .fifo = {.level_reg = 0x39,
             .level_bytes = 1,
             .level_mask = 0x3F,
             .level_unit = 1,
             .overrun_reg = 0x30,
             .overrun_mask = 0x01,
             .data_reg = 0x32,
             .burst = 1,
             .word_bytes = 6,
             .axis_bytes = 2,
             .samples = 32,
             .watermark = 16},
    /* 2.5 V to 3.3 V */
    .self_test = {TEST_ON, TEST_OFF, 16000, {200, 200, 300}, {3717, 3717, 4998}},
};
