#ifndef WHIR_HOST_FIRMWARE_H
#define WHIR_HOST_FIRMWARE_H

#include <stdint.h>

struct host_crypto;

/* The header of a firmware package against what a node accepts (whir_firmware_policy_t). 0, or the reason. */
int host_firmware_check(const uint8_t *header, struct host_crypto *crypto, const char *hardware_class, const char *running,
                        uint32_t security_counter_min, uint16_t extractor_version);
int host_firmware_version_compare(const char *a, const char *b);

#endif
