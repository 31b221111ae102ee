#ifndef WHIR_MANIFEST_H
#define WHIR_MANIFEST_H

#include <stdint.h>

#include "whir/bundle.h"

#define MANIFEST_PART_KINDS 4u

/* What the manifest says and whir_bundle_t does not keep. All point into the manifest. */
typedef struct {
    uint32_t bytes; /* of the manifest */
    const uint8_t *features_hash;
    const uint8_t *params;
    uint32_t params_bytes;
    const uint8_t *parts[MANIFEST_PART_KINDS]; /* values of the part TLVs by kind - 1, NULL = none */
} manifest_t;

/* Reads the manifest behind the header of bundle->data (manifest->bytes of it) into both. 0 or WHIR_ERR_BUNDLE_MANIFEST; the
 * parameters and the places of the parts are not looked at yet. */
int whir_manifest_parse(whir_bundle_t *bundle, manifest_t *manifest);

#endif
