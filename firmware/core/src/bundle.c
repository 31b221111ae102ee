#include "whir/bundle.h"

#include <stddef.h>
#include <string.h>

#include "golden.h"
#include "manifest.h"
#include "signed.h"
#include "whir/bytes.h"

#define GOLDEN_BYTES_MAX (WHIR_BUNDLE_SLOT_BYTES * (uint32_t)WHIR_BUNDLE_GOLDEN_SHARE_PERCENT / 100)

static int header_check(whir_bundle_t *bundle, manifest_t *manifest, const uint8_t *data, uint32_t bytes)
{
    if (bytes < WHIR_BUNDLE_HEADER_BYTES) {
        return WHIR_ERR_BUNDLE_TRUNCATED;
    }
    if (whir_le32(data + WHIR_BUNDLE_OFFSET_MAGIC) != WHIR_BUNDLE_MAGIC ||
        whir_le32(data + WHIR_BUNDLE_OFFSET_CRC32) != whir_crc32(0, data, WHIR_BUNDLE_OFFSET_CRC32)) {
        return WHIR_ERR_BUNDLE_HEADER;
    }
    if (whir_le16(data + WHIR_BUNDLE_OFFSET_FORMAT_VERSION) != WHIR_BUNDLE_FORMAT_VERSION) {
        return WHIR_ERR_VERSION;
    }
    bundle->total_bytes = whir_le32(data + WHIR_BUNDLE_OFFSET_TOTAL_BYTES);
    bundle->key_id = whir_le32(data + WHIR_BUNDLE_OFFSET_KEY_ID);
    manifest->bytes = whir_le32(data + WHIR_BUNDLE_OFFSET_MANIFEST_BYTES);
    if (whir_le16(data + WHIR_BUNDLE_OFFSET_HEADER_BYTES) != WHIR_BUNDLE_HEADER_BYTES ||
        whir_le32(data + WHIR_BUNDLE_OFFSET_RESERVED) != 0 || whir_le32(data + WHIR_BUNDLE_OFFSET_RESERVED2) != 0 ||
        bundle->total_bytes < WHIR_BUNDLE_HEADER_BYTES + WHIR_BUNDLE_SIGNATURE_BYTES ||
        manifest->bytes > bundle->total_bytes - WHIR_BUNDLE_HEADER_BYTES - WHIR_BUNDLE_SIGNATURE_BYTES) {
        return WHIR_ERR_BUNDLE_HEADER;
    }
    return bytes < bundle->total_bytes ? WHIR_ERR_BUNDLE_TRUNCATED : 0;
}

static int signature_check(const whir_bundle_t *bundle, const manifest_t *manifest, whir_crypto_t *crypto)
{
    return whir_signed_check(crypto, bundle->data, WHIR_BUNDLE_HEADER_BYTES + manifest->bytes, bundle->key_id,
                             bundle->data + bundle->total_bytes - WHIR_BUNDLE_SIGNATURE_BYTES, WHIR_ERR_BUNDLE_SIGNATURE);
}

static uint32_t align_up(uint32_t v)
{
    return (v + WHIR_BUNDLE_PART_ALIGN_BYTES - 1) & ~(uint32_t)(WHIR_BUNDLE_PART_ALIGN_BYTES - 1);
}

/* 1 when the gap from `at` to `end` holds zeros only: no byte of the file is beyond the signature's reach. */
static int gap_is_zero(const uint8_t *data, uint32_t at, uint32_t end)
{
    while (at < end && data[at] == 0) {
        at++;
    }
    return at == end;
}

/* Parts stand in the order of their kinds, each at the next boundary, and fill the file up to the signature. */
static int parts_place(whir_bundle_t *bundle, const manifest_t *manifest)
{
    whir_bundle_part_t *parts[MANIFEST_PART_KINDS] = {&bundle->model, &bundle->golden_tensors, &bundle->golden_windows,
                                                      &bundle->evaluation};
    uint32_t end = bundle->total_bytes - WHIR_BUNDLE_SIGNATURE_BYTES;
    uint32_t at = WHIR_BUNDLE_HEADER_BYTES + manifest->bytes;

    for (uint32_t kind = 0; kind < MANIFEST_PART_KINDS; kind++) {
        uint32_t start, length;

        if (manifest->parts[kind] == NULL) {
            continue;
        }
        start = whir_le32(manifest->parts[kind]);
        length = whir_le32(manifest->parts[kind] + 4);
        if (start != align_up(at) || start > end || length == 0 || length > end - start ||
            !gap_is_zero(bundle->data, at, start)) {
            return WHIR_ERR_BUNDLE_MANIFEST;
        }
        parts[kind]->data = bundle->data + start;
        parts[kind]->bytes = length;
        at = start + length;
    }
    if (align_up(at) != end || !gap_is_zero(bundle->data, at, end)) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    return 0;
}

static int parts_hash(const whir_bundle_t *bundle, const manifest_t *manifest, whir_crypto_t *crypto)
{
    for (uint32_t kind = 0; kind < MANIFEST_PART_KINDS; kind++) {
        const uint8_t *value = manifest->parts[kind];
        uint8_t digest[32];
        int err;

        if (value == NULL) {
            continue;
        }
        err = whir_sha256(crypto, bundle->data + whir_le32(value), whir_le32(value + 4), digest);
        if (err < 0) {
            return err;
        }
        if (memcmp(digest, value + 8, sizeof digest) != 0) {
            return WHIR_ERR_BUNDLE_PART_HASH;
        }
    }
    return 0;
}

static int features_check(whir_bundle_t *bundle, const manifest_t *manifest, whir_crypto_t *crypto)
{
    uint8_t digest[32];
    int err = whir_sha256(crypto, manifest->params, manifest->params_bytes, digest);

    if (err < 0) {
        return err;
    }
    if (memcmp(digest, manifest->features_hash, sizeof digest) != 0) {
        return WHIR_ERR_BUNDLE_FEATURES;
    }
    err = whir_params_parse(&bundle->params, manifest->params, manifest->params_bytes);
    if (err < 0) {
        return err;
    }
    return whir_params_complete(&bundle->params) ? 0 : WHIR_ERR_BUNDLE_FEATURES;
}

static int golden_check(const whir_bundle_t *bundle)
{
    golden_tensors_t tensors;
    golden_windows_t windows;
    int err;

    if (bundle->golden_tensors.bytes > GOLDEN_BYTES_MAX ||
        bundle->golden_windows.bytes > GOLDEN_BYTES_MAX - bundle->golden_tensors.bytes) {
        return WHIR_ERR_SPACE;
    }
    err = whir_golden_tensors_open(&tensors, bundle);
    return err < 0 ? err : whir_golden_windows_open(&windows, bundle);
}

static int policy_check(const whir_bundle_t *bundle, const whir_bundle_policy_t *policy)
{
    if (policy->hardware_class != NULL && strcmp(bundle->hardware_class, policy->hardware_class) != 0) {
        return WHIR_ERR_BUNDLE_HARDWARE;
    }
    if (bundle->security_counter < policy->security_counter_min) {
        return WHIR_ERR_BUNDLE_COUNTER;
    }
    return (bundle->kernel_sets & policy->kernel_set) == policy->kernel_set ? 0 : WHIR_ERR_BUNDLE_KERNELS;
}

int whir_bundle_open(whir_bundle_t *bundle, const uint8_t *data, uint32_t bytes, whir_crypto_t *crypto,
                     const whir_bundle_policy_t *policy)
{
    manifest_t manifest;
    int err;

    memset(bundle, 0, sizeof *bundle);
    memset(&manifest, 0, sizeof manifest);
    bundle->data = data;
    err = header_check(bundle, &manifest, data, bytes);
    if (err == 0) {
        err = signature_check(bundle, &manifest, crypto);
    }
    if (err == 0) {
        err = whir_manifest_parse(bundle, &manifest);
    }
    if (err == 0) {
        err = parts_place(bundle, &manifest);
    }
    if (err == 0) {
        err = parts_hash(bundle, &manifest, crypto);
    }
    if (err == 0) {
        err = features_check(bundle, &manifest, crypto);
    }
    if (err == 0) {
        err = golden_check(bundle);
    }
    return err == 0 ? policy_check(bundle, policy) : err;
}
