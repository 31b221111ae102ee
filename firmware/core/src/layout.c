#include "whir/node.h"

#define STATE_SECTORS 2u
#define ALERT_SHARE 3u

void whir_node_layout(whir_node_layout_t *layout, uint32_t sector_bytes, uint32_t state, uint32_t spool, uint32_t spool_bytes)
{
    uint32_t captures = WHIR_CAPTURE_SLOTS_MAX * whir_capture_slot_sectors(sector_bytes);
    uint32_t messages = spool_bytes / sector_bytes - captures;

    layout->state_base = state;
    layout->baseline_base = state + STATE_SECTORS * sector_bytes;
    layout->baseline_sectors = 2;
    layout->capture_base = spool;
    layout->capture_slots = WHIR_CAPTURE_SLOTS_MAX;
    layout->alert_base = spool + captures * sector_bytes;
    layout->alert_sectors = messages / ALERT_SHARE;
    layout->telemetry_base = layout->alert_base + layout->alert_sectors * sector_bytes;
    layout->telemetry_sectors = messages - layout->alert_sectors;
}
