#ifndef WHIR_HOST_BUNDLE_H
#define WHIR_HOST_BUNDLE_H

#include <stdint.h>

struct host_crypto;

/* Every check of whir_bundle_open; hardware_class NULL and kernel_set 0 mean any. 0, or the error. */
int host_bundle_check(const uint8_t *data, uint32_t bytes, struct host_crypto *crypto, const char *hardware_class,
                      uint32_t security_counter_min, uint32_t kernel_set);

#endif
