#ifndef WHIR_LIS_TABLE_H
#define WHIR_LIS_TABLE_H

#include "accel_parts.h"

/*
 * LIS3DH (ST data sheet rev. 2) and LIS2DH12 (DS10323) have the same registers. The normal mode with its 10-bit counts is
 * used: high resolution would filter at a ninth of the rate, and the machine would not be heard. Their temperature sensor has
 * no absolute zero.
 */
extern const whir_accel_identity_t whir_lis_identity[];
extern const whir_accel_step_t whir_lis_reset[], whir_lis_start[], whir_lis_restart[], whir_lis_watch[], whir_lis_test_on[],
    whir_lis_test_off[];
extern const whir_accel_rate_t whir_lis_rates[];
extern const whir_accel_range_t whir_lis_ranges[];

#define WHIR_LIS_PART(part_name)                                                                                               \
    {                                                                                                                          \
        .name = part_name, .buses = WHIR_BUS_SPI | WHIR_BUS_I2C, .spi_read = 0x80, .spi_multi = 0x40, .i2c_multi = 0x80,       \
        .identity = whir_lis_identity, .reset = whir_lis_reset, .start = whir_lis_start, .restart = whir_lis_restart,          \
        .watch = whir_lis_watch, .rate_reg = 0x20, .rate_mask = 0xF8, .rates = whir_lis_rates, .range_reg = 0x23,              \
        .range_mask = 0x38, .ranges = whir_lis_ranges, .noise_ug_rthz = 220,                                                   \
        .fifo = {.level_reg = 0x2F,                                                                                            \
                 .level_bytes = 1,                                                                                             \
                 .level_mask = 0x1F,                                                                                           \
                 .level_unit = 1,                                                                                              \
                 .overrun_reg = 0x2F,                                                                                          \
                 .overrun_mask = 0x40,                                                                                         \
                 .data_reg = 0x28,                                                                                             \
                 .burst = 32,                                                                                                  \
                 .word_bytes = 6,                                                                                              \
                 .axis_bytes = 2,                                                                                              \
                 .shift = 6,                                                                                                   \
                 .samples = 32,                                                                                                \
                 .watermark = 16},                                                                                             \
        .self_test = {                                                                                                         \
            whir_lis_test_on,                                                                                                  \
            whir_lis_test_off,                                                                                                 \
            2000,                                                                                                              \
            {68, 68, 68},                                                                                                      \
            {1440, 1440, 1440}                                                                                                 \
        }                                                                                                                      \
    }

#endif
