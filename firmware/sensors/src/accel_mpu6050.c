/* MPU-6050, InvenSense register map rev. 4.2. It hears 260 Hz, whatever is asked: bearings are beyond it. When its FIFO
 * overruns, samples are cut in two, so it is emptied. Its self-test needs the factory's trim and is not used. */
#include "accel_parts.h"

#include <stddef.h>

static const whir_accel_identity_t IDENTITY[] = {{0x75, 0x68}, {0, 0}};
static const whir_accel_step_t RESET[] = {{0x6B, 0xFF, 0x80, 100}, {0x6B, 0xFF, 0x01, 10}, {0}};
static const whir_accel_step_t START[] = {
    {0x1A, 0xFF, 0x00, 0}, /* 260 Hz */
    {0x6A, 0xFF, 0x04, 1}, /* FIFO emptied; the bit clears itself */
    {0x23, 0xFF, 0x08, 0}, /* acceleration only */
    {0x38, 0xFF, 0x10, 0}, /* it has no watermark: the interrupt tells an overrun */
    {0x6A, 0xFF, 0x40, 0}, {0},
};
static const whir_accel_step_t RESTART[] = {{0x6A, 0xFF, 0x00, 0}, {0x6A, 0xFF, 0x04, 1}, {0x6A, 0xFF, 0x40, 0}, {0}};
static const whir_accel_rate_t RATES[] = {{500000, 260, 15}, {1000000, 260, 7}, {0}}; /* 8 kHz / (1 + n) */
static const whir_accel_range_t RANGES[] = {
    {2000, 61035, 0x00}, {4000, 122070, 0x08}, {8000, 244141, 0x10}, {16000, 488281, 0x18}, {0}};
static const whir_accel_temperature_t TEMPERATURE = {
    .reg = 0x41, .big_endian = 1, .zero_raw = 0, .centi_per_1000 = 294, .zero_cdeg = 3653};

const whir_accel_part_t whir_accel_mpu6050 = {
    .name = "mpu6050",
    .buses = WHIR_BUS_I2C,
    .identity = IDENTITY,
    .reset = RESET,
    .start = START,
    .restart = RESTART,
    .rate_reg = 0x19,
    .rate_mask = 0xFF,
    .rates = RATES,
    .range_reg = 0x1C,
    .range_mask = 0x18,
    .ranges = RANGES,
    .noise_ug_rthz = 400,
    .fifo = {.level_reg = 0x72,
             .level_bytes = 2,
             .level_big_endian = 1,
             .level_mask = 0x07FF,
             .level_unit = 6,
             .overrun_reg = 0x3A,
             .overrun_mask = 0x10,
             .data_reg = 0x74,
             .burst = 32,
             .word_bytes = 6,
             .axis_bytes = 2,
             .big_endian = 1,
             .samples = 170,
             .watermark = 64},
    .temperature = &TEMPERATURE,
    .self_test = {NULL, NULL, 0, {0, 0, 0}, {0, 0, 0}},
};
