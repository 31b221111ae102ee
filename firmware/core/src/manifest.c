#include "manifest.h"

#include <stddef.h>
#include <string.h>

#include "whir/bytes.h"

#define TLV_HEADER_BYTES 4u
#define PART_VALUE_BYTES 40u /* offset u32, bytes u32, sha256 */
#define PARAM_TAG_FIRST 0x0100u
#define PARAM_TAG_LAST 0x01FFu

typedef enum { FIELD_STR, FIELD_CLASSES, FIELD_HASH, FIELD_U8, FIELD_U16, FIELD_U32 } field_type_t;

typedef struct {
    uint16_t tag;
    uint8_t type;
    uint16_t offset;   /* of the field in whir_bundle_t; unused for the hash */
    uint32_t min, max; /* of a number; of a string's length */
} field_rule_t;

/* Every field below the parameters, ascending: the manifest must hold each of them once, in this order. */
static const field_rule_t FIELDS[] = {
    {WHIR_TAG_MODEL_NAME, FIELD_STR, offsetof(whir_bundle_t, model_name), 1, WHIR_NAME_MODEL_NAME_MAX_BYTES},
    {WHIR_TAG_MODEL_VERSION, FIELD_STR, offsetof(whir_bundle_t, model_version), 1, WHIR_NAME_MODEL_VERSION_MAX_BYTES},
    {WHIR_TAG_SECURITY_COUNTER, FIELD_U32, offsetof(whir_bundle_t, security_counter), 0, UINT32_MAX},
    {WHIR_TAG_HARDWARE_CLASS, FIELD_STR, offsetof(whir_bundle_t, hardware_class), 1, WHIR_NAME_HARDWARE_CLASS_MAX_BYTES},
    {WHIR_TAG_CLASSES, FIELD_CLASSES, offsetof(whir_bundle_t, classes), 1, WHIR_NAME_CLASS_NAME_MAX_BYTES},
    {WHIR_TAG_FEATURES_HASH, FIELD_HASH, 0, 32, 32},
    {WHIR_TAG_ARENA_BYTES, FIELD_U32, offsetof(whir_bundle_t, arena_bytes), 1, UINT32_MAX},
    {WHIR_TAG_KERNEL_SETS, FIELD_U32, offsetof(whir_bundle_t, kernel_sets), 1, UINT32_MAX},
    {WHIR_TAG_SCOPE, FIELD_U8, offsetof(whir_bundle_t, scope), WHIR_SCOPE_ANY_MACHINE, WHIR_SCOPE_TRAINING_RIG},
    {WHIR_TAG_RAISE_PERMILLE, FIELD_U16, offsetof(whir_bundle_t, raise_permille), 1, 1000},
    {WHIR_TAG_CLEAR_PERMILLE, FIELD_U16, offsetof(whir_bundle_t, clear_permille), 0, 1000},
    {WHIR_TAG_RAISE_COUNT, FIELD_U8, offsetof(whir_bundle_t, raise_count), 1, WHIR_DECIDE_OF_MAX},
    {WHIR_TAG_RAISE_OF, FIELD_U8, offsetof(whir_bundle_t, raise_of), 1, WHIR_DECIDE_OF_MAX},
    {WHIR_TAG_OFF_RMS_COUNTS, FIELD_U16, offsetof(whir_bundle_t, off_rms_counts), 0, UINT16_MAX},
};
#define FIELD_COUNT ((uint32_t)(sizeof FIELDS / sizeof FIELDS[0]))

/* Names go into JSON and onto terminals as they are. */
static int name_store(char *name, const uint8_t *value, uint32_t length, const field_rule_t *rule)
{
    if (length < rule->min || length > rule->max) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (value[i] < 0x20 || value[i] > 0x7E || value[i] == '"' || value[i] == '\\') {
            return WHIR_ERR_BUNDLE_MANIFEST;
        }
        name[i] = (char)value[i];
    }
    name[length] = '\0';
    return 0;
}

static int classes_store(whir_bundle_t *bundle, const uint8_t *value, uint32_t length, const field_rule_t *rule)
{
    while (length != 0) {
        uint32_t name_bytes = value[0];
        int err;

        if (name_bytes > length - 1 || bundle->class_count == WHIR_VERDICT_CLASSES_MAX) {
            return WHIR_ERR_BUNDLE_MANIFEST;
        }
        err = name_store(bundle->classes[bundle->class_count], value + 1, name_bytes, rule);
        if (err < 0) {
            return err;
        }
        bundle->class_count++;
        value += 1 + name_bytes;
        length -= 1 + name_bytes;
    }
    return bundle->class_count < 2 ? WHIR_ERR_BUNDLE_MANIFEST : 0;
}

static int number_store(uint8_t *field, const uint8_t *value, uint32_t length, const field_rule_t *rule)
{
    uint32_t size = rule->type == FIELD_U8 ? 1 : rule->type == FIELD_U16 ? 2 : 4;
    uint32_t v;

    if (length != size) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    v = size == 1 ? value[0] : size == 2 ? whir_le16(value) : whir_le32(value);
    if (v < rule->min || v > rule->max) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    if (size == 1) {
        *field = (uint8_t)v;
    } else if (size == 2) {
        uint16_t v16 = (uint16_t)v;
        memcpy(field, &v16, sizeof v16);
    } else {
        memcpy(field, &v, sizeof v);
    }
    return 0;
}

static int field_store(whir_bundle_t *bundle, manifest_t *manifest, const field_rule_t *rule, const uint8_t *value,
                       uint32_t length)
{
    uint8_t *field = (uint8_t *)bundle + rule->offset;

    switch ((field_type_t)rule->type) {
    case FIELD_STR:
        return name_store((char *)field, value, length, rule);
    case FIELD_CLASSES:
        return classes_store(bundle, value, length, rule);
    case FIELD_HASH:
        manifest->features_hash = value;
        return length == rule->min ? 0 : WHIR_ERR_BUNDLE_MANIFEST;
    default:
        return number_store(field, value, length, rule);
    }
}

/* Fields, then parameters (kept as they stand), then parts: tags ascend strictly and none is unknown. */
int whir_manifest_parse(whir_bundle_t *bundle, manifest_t *manifest)
{
    const uint8_t *p = bundle->data + WHIR_BUNDLE_HEADER_BYTES;
    uint32_t left = manifest->bytes, next = 0, last = 0;

    while (left != 0) {
        uint32_t tag, length;
        const uint8_t *value;
        int err = 0;

        if (left < TLV_HEADER_BYTES) {
            return WHIR_ERR_BUNDLE_MANIFEST;
        }
        tag = whir_le16(p);
        length = whir_le16(p + 2);
        value = p + TLV_HEADER_BYTES;
        if (tag <= last || length > left - TLV_HEADER_BYTES) {
            return WHIR_ERR_BUNDLE_MANIFEST;
        }
        if (next < FIELD_COUNT) {
            err = tag == FIELDS[next].tag ? field_store(bundle, manifest, &FIELDS[next], value, length)
                                          : WHIR_ERR_BUNDLE_MANIFEST;
            next++;
        } else if (tag >= PARAM_TAG_FIRST && tag <= PARAM_TAG_LAST) {
            manifest->params = manifest->params == NULL ? p : manifest->params;
            manifest->params_bytes += TLV_HEADER_BYTES + length;
        } else if (tag > WHIR_TAG_PART && tag <= WHIR_TAG_PART + MANIFEST_PART_KINDS && length == PART_VALUE_BYTES) {
            manifest->parts[tag - WHIR_TAG_PART - 1] = value;
        } else {
            err = WHIR_ERR_BUNDLE_MANIFEST;
        }
        if (err < 0) {
            return err;
        }
        last = tag;
        p = value + length;
        left -= TLV_HEADER_BYTES + length;
    }
    if (next < FIELD_COUNT || manifest->params == NULL || manifest->parts[WHIR_PART_KIND_MODEL - 1] == NULL ||
        manifest->parts[WHIR_PART_KIND_GOLDEN_TENSORS - 1] == NULL ||
        manifest->parts[WHIR_PART_KIND_GOLDEN_WINDOWS - 1] == NULL || bundle->raise_count > bundle->raise_of ||
        bundle->clear_permille > bundle->raise_permille) {
        return WHIR_ERR_BUNDLE_MANIFEST;
    }
    return 0;
}
