/* KX134-1211, Kionix/ROHM: addresses, bits and reset values are those of a public driver's header; its Technical Reference
 * Manual was not at hand, and no part. Registers take what is written while it stands by only, so that its self-test, which
 * would change the range while it runs, is not used. */
#include "accel_parts.h"

#define LOW_NOISE 0x40 /* ODCNTL.LPRO: the filter is at half the rate, not at a ninth */

static const whir_accel_identity_t IDENTITY[] = {{0x13, 0x46}, {0x12, 0x55}, {0, 0}};
static const whir_accel_step_t RESET[] = {{0x1B, 0x80, 0x00, 2}, {0x1C, 0xFF, 0x80, 2}, {0}};
static const whir_accel_step_t START[] = {
    {0x22, 0xFF, 0x30, 0}, /* INT1, active high */
    {0x25, 0xFF, 0x20, 0}, /* watermark on it */
    {0x5E, 0xFF, 43, 0},   /* watermark in samples */
    {0x5F, 0xFF, 0xE1, 0}, /* buffer of 16-bit samples, stream, tells when it is full */
    {0x1B, 0xC0, 0xC0, 2}, /* runs, high performance */
    {0},
};
static const whir_accel_step_t RESTART[] = {{0x62, 0xFF, 0x00, 0}, {0}};
/* z hears 5600 Hz at most */
/* A count of the threshold is taken as 1/64 g: the 11 highest bits of 32 g; the sister part KX132 has 1/256 g for its 8 g. */
static const whir_accel_step_t WATCH[] = {
    {0x22, 0xFF, 0x30, 0}, /* INT1, active high, latched */
    {0x25, 0xFF, 0x02, 0}, /* wake-up on it */
    {0x21, 0xFF, 0x07, 0}, /* 100 Hz */
    {0x1D, 0xFF, 0xAF, 0}, /* wake-up's too */
    {0x1E, 0xFF, 0x60, 0}, /* wake-up, from sample to sample, so that gravity is no motion */
    {0x49, 0xFF, 4, 0},
    {0x4A, 0xFF, 0x00, 0},
    {0x4D, 0xFF, 1, 0},
    {0x1B, 0xFF, 0x80, 50}, /* runs, low power */
    {0},
};
static const whir_accel_rate_t RATES[] = {{800000, 400, LOW_NOISE | 10},    {1600000, 800, LOW_NOISE | 11},
                                          {3200000, 1600, LOW_NOISE | 12},  {6400000, 3200, LOW_NOISE | 13},
                                          {12800000, 5600, LOW_NOISE | 14}, {0}};
static const whir_accel_range_t RANGES[] = {
    {8000, 244141, 0x00}, {16000, 488281, 0x08}, {32000, 976563, 0x10}, {64000, 1953125, 0x18}, {0}};

const whir_accel_part_t whir_accel_kx134 = {
    .name = "kx134",
    .buses = WHIR_BUS_SPI | WHIR_BUS_I2C,
    .spi_read = 0x80,
    .identity = IDENTITY,
    .reset = RESET,
    .start = START,
    .restart = RESTART,
    .watch = WATCH,
    .rate_reg = 0x21,
    .rate_mask = 0x4F,
    .rates = RATES,
    .range_reg = 0x1B,
    .range_mask = 0x18,
    .ranges = RANGES,
    .noise_ug_rthz = 300,
    .fifo = {.level_reg = 0x60,
             .level_bytes = 2,
             .level_mask = 0x3FF,
             .level_unit = 6, /* bytes */
             .overrun_reg = 0x17,
             .overrun_mask = 0x40,
             .data_reg = 0x63,
             .burst = 32,
             .word_bytes = 6,
             .axis_bytes = 2,
             .samples = 86,
             .watermark = 43},
};
