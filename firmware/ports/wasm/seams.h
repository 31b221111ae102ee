#ifndef WHIR_WASM_SEAMS_H
#define WHIR_WASM_SEAMS_H

#include "whir/whir.h"

/* What the files of this port share: the seams behind the node, and the node for its getters. */
#define WASM_SECTOR 4096u
#define WASM_FLASH_BYTES (2u * WHIR_BUNDLE_SLOT_ALIGN_BYTES + 2u * WHIR_BUNDLE_SLOT_BYTES)

/* The node itself, for the getters. */
const whir_node_t *wasm_node(void);

whir_flash_t *wasm_flash(void);
/* All ones again. */
void wasm_flash_wipe(void);
whir_crypto_t *wasm_crypto(void);
/* `signed_digest`: digest, then r and s. */
void wasm_crypto_vouch(uint32_t key_id, const uint8_t signed_digest[96]);

#endif
