#include "host_firmware.h"

#include "seams.h"
#include "whir/firmware.h"

int host_firmware_check(const uint8_t *header, struct host_crypto *crypto, const char *hardware_class, const char *running,
                        uint32_t security_counter_min, uint16_t extractor_version)
{
    const whir_firmware_policy_t policy = {hardware_class, running, security_counter_min, extractor_version, UINT32_MAX};
    whir_firmware_t firmware;

    return whir_firmware_open(&firmware, header, host_crypto_seam(crypto), &policy);
}

int host_firmware_version_compare(const char *a, const char *b)
{
    return whir_firmware_version_compare(a, b);
}
