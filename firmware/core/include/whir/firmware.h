#ifndef WHIR_FIRMWARE_H
#define WHIR_FIRMWARE_H

#include <stdint.h>

#include "whir/contract.h"
#include "whir/port/crypto.h"

/* The header of a firmware package (contracts/firmware.toml), whole and signed. */
typedef struct whir_firmware {
    uint32_t image_bytes;
    uint32_t security_counter;
    uint16_t extractor_min, extractor_max;
    char version[33];
    uint8_t image_sha256[32];
} whir_firmware_t;

/* What the node will accept. */
typedef struct whir_firmware_policy {
    const char *hardware_class;
    const char *running; /* version of the firmware that runs */
    uint32_t security_counter_min;
    uint16_t extractor_version; /* of the model in service; 0: there is none */
    uint32_t slot_bytes;
} whir_firmware_policy_t;

/* 0, or the first reason against it, in the order of WHIR_ERR_FIRMWARE_…; WHIR_ERR_SPACE; or the crypto port's own code. */
int whir_firmware_open(whir_firmware_t *firmware, const uint8_t header[WHIR_FIRMWARE_HEADER_BYTES], whir_crypto_t *crypto,
                       const whir_firmware_policy_t *policy);
/* Versions as x.y.z; what follows the numbers does not count. <0, 0, >0. */
int whir_firmware_version_compare(const char *a, const char *b);

#endif
