#ifndef WHIR_PORT_LINK_H
#define WHIR_PORT_LINK_H

#include <stdint.h>

/* Link seam: MQTT out and HTTP fetches. None of these may block; the answer to a fetch comes through
 * whir_node_bundle_data / whir_node_bundle_end. */
typedef struct whir_link {
    void *ctx;
    /* topic is the last part only ("status", "alert", …). 0 = handed to the client's outbox, WHIR_ERR_BUSY = try later. */
    int (*publish)(struct whir_link *link, const char *topic, const void *payload, uint32_t bytes, int retained);
    /* Start fetching a bundle. 0 or WHIR_ERR_BUSY. */
    int (*fetch)(struct whir_link *link, const char *url, uint32_t bytes);
} whir_link_t;

#endif
