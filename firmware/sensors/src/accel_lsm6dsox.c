/* LSM6DSOX, ST data sheet DS12814. The gyroscope stays off. */
#include "accel_parts.h"
#include "st_mems_fifo.h"

static const whir_accel_identity_t IDENTITY[] = {{0x0F, 0x6C}, {0, 0}};
static const whir_accel_step_t RESET[] = {{0x12, 0xFF, 0x01, 10}, {0}};
static const whir_accel_step_t START[] = {
    {0x12, 0xFF, 0x44, 0}, /* both bytes of a count from one sample, addresses count up */
    {0x07, 0xFF, 128, 0},  /* watermark */
    {0x08, 0xFF, 0x00, 0},
    {0x0D, 0xFF, 0x08, 0}, /* watermark on INT1 */
    {0x0A, 0xFF, 0x06, 0}, /* continuous */
    {0},
};
static const whir_accel_step_t RESTART[] = {{0x0A, 0xFF, 0x00, 0}, {0x0A, 0xFF, 0x06, 0}, {0}};
static const whir_accel_step_t WATCH[] = {
    {0x12, 0xFF, 0x44, 0},   {0x15, 0xFF, 0x10, 0}, /* low power */
    {0x10, 0xFF, 0x40, 100},                        /* 104 Hz, 2 g */
    {0x56, 0xFF, 0x01, 0},                          /* latched; from sample to sample, so that gravity is no motion */
    {0x5C, 0xFF, 0x00, 0},   {0x5B, 0xFF, 2, 0},    /* 62.5 mg */
    {0x5E, 0xFF, 0x20, 0},                          /* wake-up on INT1 */
    {0x58, 0xFF, 0x80, 0},   {0},
};
static const whir_accel_rate_t RATES[] = {{417000, 208, 0x60},   {833000, 416, 0x70},   {1667000, 833, 0x80},
                                          {3333000, 1666, 0x90}, {6667000, 3333, 0xA0}, {0}};
static const whir_accel_range_t RANGES[] = {
    {2000, 61000, 0x00}, {4000, 122000, 0x08}, {8000, 244000, 0x0C}, {16000, 488000, 0x04}, {0}};
static const whir_accel_step_t TEST_ON[] = {{0x14, 0x03, 0x01, 100}, {0}};
static const whir_accel_step_t TEST_OFF[] = {{0x14, 0x03, 0x00, 100}, {0}};
static const whir_accel_temperature_t TEMPERATURE = {.reg = 0x20, .centi_per_1000 = 391, .zero_cdeg = 2500};

const whir_accel_part_t whir_accel_lsm6dsox = {
    .name = "lsm6dsox",
    .buses = WHIR_BUS_SPI | WHIR_BUS_I2C,
    .spi_read = 0x80,
    .identity = IDENTITY,
    .reset = RESET,
    .start = START,
    .restart = RESTART,
    .watch = WATCH,
    .rate_reg = 0x10,
    .rate_mask = 0xF0,
    .batch_reg = 0x09,
    .rates = RATES,
    .range_reg = 0x10,
    .range_mask = 0x0C,
    .ranges = RANGES,
    .noise_ug_rthz = 110,
    .fifo = WHIR_ST_MEMS_FIFO,
    .temperature = &TEMPERATURE,
    .self_test = {TEST_ON, TEST_OFF, 4000, {50, 50, 50}, {1700, 1700, 1700}},
};
