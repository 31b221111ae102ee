#include "node_parts.h"

/* Gravity's mean within 30 degrees of the axis that should point up: 4 c^2 >= 3 (x^2 + y^2 + z^2), and not turned over. */
static int points_up(const whir_node_t *node)
{
    int8_t up = node->config.up;
    int64_t along = 0, square = 0;

    for (int i = 0; i < 3; i++) {
        int64_t mean = node->gravity[i] / (int64_t)node->gravity_samples;
        square += mean * mean;
        if (i == (up < 0 ? -up : up) - 1) {
            along = up < 0 ? -mean : mean;
        }
    }
    return along > 0 && 4 * along * along >= 3 * square;
}

void whir_node_mounting_begin(whir_node_t *node)
{
    uint8_t can_tell = node->config.up != 0 && node->config.sensor.channels == 3;

    node->gravity[0] = node->gravity[1] = node->gravity[2] = 0;
    node->gravity_samples = 0;
    node->gravity_wanted = can_tell ? node->config.sensor.rate_mhz / 1000u : 0; /* a second */
}

void whir_node_mounting_push(whir_node_t *node, const int16_t *sample)
{
    for (int i = 0; i < 3; i++) {
        node->gravity[i] += sample[i];
    }
    if (++node->gravity_samples < node->gravity_wanted) {
        return;
    }
    node->gravity_wanted = 0;
    if (node->learn.wanted != 0 && !points_up(node)) {
        whir_node_learning_failed(node, WHIR_ERR_SENSOR_MOUNTING);
    }
}
