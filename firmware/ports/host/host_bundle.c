#include "seams.h"

#include "host_bundle.h"
#include "whir/bundle.h"

int host_bundle_check(const uint8_t *data, uint32_t bytes, host_crypto_t *crypto, const char *hardware_class,
                      uint32_t security_counter_min, uint32_t kernel_set)
{
    whir_bundle_policy_t policy = {hardware_class, security_counter_min, kernel_set};
    whir_bundle_t bundle;

    return whir_bundle_open(&bundle, data, bytes, host_crypto_seam(crypto), &policy);
}
