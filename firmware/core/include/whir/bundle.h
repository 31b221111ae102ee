#ifndef WHIR_BUNDLE_H
#define WHIR_BUNDLE_H

#include <stdint.h>

#include "whir/params.h"
#include "whir/port/crypto.h"
#include "whir/port/sensor.h"

typedef struct whir_bundle_part {
    const uint8_t *data;
    uint32_t bytes;
} whir_bundle_part_t;

/* A bundle opened in place. Everything points into the memory-mapped slot. */
typedef struct whir_bundle {
    const uint8_t *data;
    uint32_t total_bytes;
    uint32_t key_id;
    char model_name[WHIR_NAME_MODEL_NAME_MAX_BYTES + 1];
    char model_version[WHIR_NAME_MODEL_VERSION_MAX_BYTES + 1];
    char hardware_class[WHIR_NAME_HARDWARE_CLASS_MAX_BYTES + 1];
    char classes[WHIR_VERDICT_CLASSES_MAX][WHIR_NAME_CLASS_NAME_MAX_BYTES + 1];
    uint8_t class_count;
    uint8_t scope;
    uint32_t security_counter;
    uint32_t arena_bytes;
    uint32_t kernel_sets;
    uint16_t raise_permille;
    uint16_t clear_permille;
    uint8_t raise_count;
    uint8_t raise_of;
    uint16_t off_rms_counts;
    whir_params_t params;
    whir_bundle_part_t model;
    whir_bundle_part_t golden_tensors;
    whir_bundle_part_t golden_windows;
    whir_bundle_part_t evaluation; /* data NULL when there is none */
} whir_bundle_t;

/* What the node will accept. */
typedef struct whir_bundle_policy {
    const char *hardware_class; /* NULL = any (a fleet that stores bundles for many classes; never a node) */
    uint32_t security_counter_min;
    uint32_t kernel_set; /* of the node's engine; 0 = any */
} whir_bundle_policy_t;

/*
 * Checks in this order, each with its own error: header (magic, CRC, version), length, signature over header and manifest,
 * manifest TLVs, part bounds and hashes, features hash and limits, hardware class, counter, kernel set. The model itself is
 * not parsed here. `bytes` may be more than the bundle (the whole slot); `data` must stay mapped while `bundle` is used.
 * 0; WHIR_ERR_BUNDLE_…; or the crypto port's own code.
 */
int whir_bundle_open(whir_bundle_t *bundle, const uint8_t *data, uint32_t bytes, whir_crypto_t *crypto,
                     const whir_bundle_policy_t *policy);

#endif
