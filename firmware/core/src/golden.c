#include "golden.h"

#include "whir/bytes.h"

#define TENSORS_HEADER_BYTES 8u
#define WINDOWS_HEADER_BYTES 12u
#define SPEED_BYTES 4u

/* 1 when `count` entries fill the part exactly; no product that could overflow. */
static int table_fits(const whir_bundle_part_t *part, uint32_t header_bytes, uint32_t count, uint32_t entry_bytes)
{
    uint32_t room = part->bytes - header_bytes;

    return count != 0 && entry_bytes != 0 && room % entry_bytes == 0 && room / entry_bytes == count;
}

int whir_golden_tensors_open(golden_tensors_t *golden, const whir_bundle_t *bundle)
{
    const whir_bundle_part_t *part = &bundle->golden_tensors;

    if (part->bytes < TENSORS_HEADER_BYTES) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    golden->count = whir_le32(part->data);
    golden->input_bytes = whir_le16(part->data + 4);
    golden->output_bytes = whir_le16(part->data + 6);
    golden->entry_bytes = golden->input_bytes + golden->output_bytes;
    golden->entries = part->data + TENSORS_HEADER_BYTES;
    if (!table_fits(part, TENSORS_HEADER_BYTES, golden->count, golden->entry_bytes) ||
        golden->input_bytes != whir_params_feature_count(&bundle->params) || golden->output_bytes != bundle->class_count) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    return 0;
}

int whir_golden_windows_open(golden_windows_t *golden, const whir_bundle_t *bundle)
{
    const whir_bundle_part_t *part = &bundle->golden_windows;
    const whir_params_t *params = &bundle->params;

    if (part->bytes < WINDOWS_HEADER_BYTES) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    golden->count = whir_le32(part->data);
    golden->window_bytes = whir_le32(part->data + 4);
    golden->feature_bytes = whir_le16(part->data + 8);
    golden->classes = whir_le16(part->data + 10);
    if (golden->window_bytes != 2u * params->window_samples * params->channels ||
        golden->feature_bytes != whir_params_feature_count(params) || golden->classes != bundle->class_count) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    golden->speed_bytes = whir_params_by_order(params) ? SPEED_BYTES : 0;
    golden->entry_bytes = golden->window_bytes + golden->speed_bytes + golden->feature_bytes + 2 * golden->classes;
    golden->entries = part->data + WINDOWS_HEADER_BYTES;
    return table_fits(part, WINDOWS_HEADER_BYTES, golden->count, golden->entry_bytes) ? 0 : WHIR_ERR_BUNDLE_MANIFEST;
}
