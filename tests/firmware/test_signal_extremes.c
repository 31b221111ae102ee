/* The signal path with the windows and streams that come closest to overflow, under the sanitizers. Prints how many. */
#include <stdio.h>
#include <string.h>

#include "whir/bytes.h"
#include "whir/condition.h"
#include "whir/features.h"
#include "whir/window.h"

#define CHANNELS 3
#define PATTERNS 9

static uint32_t random_state = 1;

static uint32_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* Sample i of n of a pattern that is hard on fixed point. */
static int16_t pattern(uint32_t kind, uint32_t i, uint32_t n)
{
    switch (kind) {
    case 0:
        return i % 2 != 0 ? INT16_MAX : INT16_MIN;
    case 1:
        return i < n / 2 ? INT16_MAX : INT16_MIN;
    case 2:
        return i == n / 2 ? INT16_MAX : INT16_MIN;
    case 3:
        return i == n / 2 ? INT16_MIN : INT16_MAX;
    case 4:
        return INT16_MIN;
    case 5:
        return i == 0;
    case 6:
        return random_next() & 1 ? INT16_MAX : INT16_MIN;
    case 7:
        return (int16_t)random_next();
    default:
        return (int16_t)(random_next() % 3) - 1;
    }
}

static uint32_t windows_run(void)
{
    static int16_t window[WHIR_WINDOW_SAMPLES_MAX * CHANNELS];
    static int32_t scratch[WHIR_FEATURES_SCRATCH_WORDS];
    static int32_t features[WHIR_WINDOW_SAMPLES_MAX * CHANNELS];
    static int8_t input[WHIR_WINDOW_SAMPLES_MAX * CHANNELS];
    static const uint8_t offsets[4 * 256], gains[4 * 256];
    uint32_t done = 0;

    for (uint32_t n = WHIR_WINDOW_SAMPLES_MIN; n <= WHIR_WINDOW_SAMPLES_MAX; n *= 2) {
        for (uint32_t mode = 0; mode < 6; mode++) {
            uint8_t edges[2 * 3], orders[2 * 3], lines[2];
            uint32_t shaft_mhz = (500000 - 500000 / n) / 6 - 1; /* so that the topmost edge is as high as it may be */
            whir_params_t params = {.rate_hz = 1000, .channels = CHANNELS, .window_samples = (uint16_t)n, .hop_samples = 7};
            int bands = mode < 4;
            params.kind = bands ? WHIR_FEATURE_KIND_BANDS : WHIR_FEATURE_KIND_RAW;
            params.level = mode % 2;
            params.across_axes = mode / 2 == 1;
            params.stats = bands ? 15 : 0;
            params.bands_per_axis = bands ? 2 : 0;
            params.band_edges_bins = edges;
            params.orders_per_axis = bands ? 2 : 0;
            params.order_edges_q8 = orders;
            params.lines_per_axis = bands ? 1 : 0;
            params.order_lines_q8 = lines;
            params.offset = offsets;
            params.gain_q16 = gains;
            params.scalers = (uint16_t)(bands ? whir_params_feature_count(&params) : CHANNELS);
            whir_put_le16(orders, 1);
            whir_put_le16(orders + 2, 3 * 256);
            whir_put_le16(orders + 4, 6 * 256);
            whir_put_le16(lines, 3 * 256);
            whir_put_le16(edges, 0);
            whir_put_le16(edges + 2, (uint16_t)(n / 4));
            whir_put_le16(edges + 4, (uint16_t)(n / 2));
            for (uint32_t mix = 0; mix < PATTERNS * PATTERNS; mix++) {
                for (uint32_t i = 0; i < n; i++) {
                    window[i * CHANNELS] = pattern(mix % PATTERNS, i, n);
                    window[i * CHANNELS + 1] = pattern(mix / PATTERNS, i, n);
                    window[i * CHANNELS + 2] = pattern(mix % 4, i, n);
                }
                if (!whir_features_defined(&params, shaft_mhz)) {
                    return 0;
                }
                whir_features_extract(&params, window, shaft_mhz, scratch, features);
                whir_features_quantize(&params, features, input);
                (void)whir_features_rms(&params, window);
                done++;
            }
        }
    }
    return done;
}

/* Signs that follow the filter's own response give the largest sums: alternate with a period swept over the kernel's. */
static uint32_t streams_run(void)
{
    static const uint32_t rates_mhz[] = {1000000, 1000001, 1344000, 3999999, 4000000, 7999999, 26667000, 27000000};
    static int16_t ring[64 * CHANNELS];
    uint32_t done = 0;

    for (uint32_t r = 0; r < sizeof rates_mhz / sizeof rates_mhz[0]; r++) {
        for (uint32_t period = 1; period < 80; period++) {
            whir_params_t params = {.rate_hz = period % 2 != 0 ? 1000 : 250,
                                    .bandwidth_hz = 10,
                                    .envelope_axes = period % 3 == 0 ? 3 : 0,
                                    .envelope_low_hz = rates_mhz[r] / 9000,
                                    .envelope_high_hz = rates_mhz[r] / 2500,
                                    .range_mg = 1,
                                    .channels = CHANNELS,
                                    .noise_ug_rthz_max = 1000,
                                    .axes = 7,
                                    .unit = WHIR_UNIT_G,
                                    .lsb_nano = 1 + 3000 * (period % 7),
                                    .window_samples = 64,
                                    .hop_samples = 16};
            whir_sensor_info_t sensor = {.name = "extreme",
                                         .rate_mhz = rates_mhz[r],
                                         .bandwidth_hz = 10,
                                         .range_milli = 2000,
                                         .noise_ug_rthz = 1,
                                         .lsb_nano = 1 + 1000 * (period % 5),
                                         .unit = WHIR_UNIT_G,
                                         .channels = CHANNELS};
            whir_condition_t condition;
            whir_envelope_t envelope;
            whir_window_t window;
            if (whir_condition_init(&condition, &params, &sensor, &envelope) < 0) {
                continue; /* counts too far apart */
            }
            whir_window_init(&window, &params, ring);
            for (uint32_t i = 0; i < 3000; i++) {
                int16_t in[CHANNELS] = {i / period % 2 != 0 ? INT16_MAX : INT16_MIN, INT16_MIN, pattern(6, 0, 0)};
                int16_t out[CHANNELS];
                if (i == 2000) {
                    whir_condition_reset(&condition);
                    whir_window_gap(&window);
                }
                if (whir_condition_push(&condition, in, out) && whir_window_push(&window, out)) {
                    (void)whir_window_read(&window);
                }
                done++;
            }
        }
    }
    return done;
}

int main(void)
{
    uint32_t windows = windows_run();
    uint32_t samples = streams_run();

    printf("%lu windows, %lu samples\n", (unsigned long)windows, (unsigned long)samples);
    return windows != 5 * 6 * 81 || samples <= 1000000;
}
