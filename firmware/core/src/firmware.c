#include "whir/firmware.h"

#include <string.h>

#include "signed.h"
#include "whir/bytes.h"

#define VERSION_NUMBERS 3

static const char *number_read(const char *text, uint32_t *number)
{
    *number = 0;
    while (*text >= '0' && *text <= '9') {
        *number = *number * 10 + (uint32_t)(*text++ - '0');
    }
    return *text == '.' ? text + 1 : text;
}

int whir_firmware_version_compare(const char *a, const char *b)
{
    for (int i = 0; i < VERSION_NUMBERS; i++) {
        uint32_t left, right;

        a = number_read(a, &left);
        b = number_read(b, &right);
        if (left != right) {
            return left < right ? -1 : 1;
        }
    }
    return 0;
}

/* 1 when the text ends within its place: with zeros up to the end. */
static int is_text(const uint8_t *text, uint32_t bytes)
{
    return text[bytes - 1] == 0;
}

static int format_check(const uint8_t *header)
{
    return whir_le32(header + WHIR_FIRMWARE_OFFSET_MAGIC) == WHIR_FIRMWARE_MAGIC &&
           whir_le16(header + WHIR_FIRMWARE_OFFSET_FORMAT_VERSION) == WHIR_FIRMWARE_FORMAT_VERSION &&
           whir_le16(header + WHIR_FIRMWARE_OFFSET_HEADER_BYTES) == WHIR_FIRMWARE_HEADER_BYTES &&
           is_text(header + WHIR_FIRMWARE_OFFSET_HARDWARE_CLASS, 16) && is_text(header + WHIR_FIRMWARE_OFFSET_VERSION, 32) &&
           is_text(header + WHIR_FIRMWARE_OFFSET_VERSION_MIN, 32);
}

static int policy_check(const whir_firmware_t *firmware, const uint8_t *header, const whir_firmware_policy_t *policy)
{
    const char *hardware = (const char *)header + WHIR_FIRMWARE_OFFSET_HARDWARE_CLASS;
    const char *version_min = (const char *)header + WHIR_FIRMWARE_OFFSET_VERSION_MIN;
    uint16_t model = policy->extractor_version;

    if (strcmp(hardware, policy->hardware_class) != 0) {
        return WHIR_ERR_FIRMWARE_HARDWARE;
    }
    if (firmware->security_counter < policy->security_counter_min) {
        return WHIR_ERR_FIRMWARE_COUNTER;
    }
    if (whir_firmware_version_compare(policy->running, version_min) < 0) {
        return WHIR_ERR_FIRMWARE_VERSION;
    }
    if (model != 0 && (model < firmware->extractor_min || model > firmware->extractor_max)) {
        return WHIR_ERR_FIRMWARE_MODEL;
    }
    return firmware->image_bytes == 0 || firmware->image_bytes > policy->slot_bytes ? WHIR_ERR_SPACE : 0;
}

int whir_firmware_open(whir_firmware_t *firmware, const uint8_t header[WHIR_FIRMWARE_HEADER_BYTES], whir_crypto_t *crypto,
                       const whir_firmware_policy_t *policy)
{
    int err;

    memset(firmware, 0, sizeof *firmware);
    if (!format_check(header)) {
        return WHIR_ERR_FIRMWARE_HEADER;
    }
    err = whir_signed_check(crypto, header, WHIR_FIRMWARE_OFFSET_SIGNATURE, whir_le32(header + WHIR_FIRMWARE_OFFSET_KEY_ID),
                            header + WHIR_FIRMWARE_OFFSET_SIGNATURE, WHIR_ERR_FIRMWARE_SIGNATURE);
    if (err < 0) {
        return err;
    }
    firmware->image_bytes = whir_le32(header + WHIR_FIRMWARE_OFFSET_IMAGE_BYTES);
    firmware->security_counter = whir_le32(header + WHIR_FIRMWARE_OFFSET_SECURITY_COUNTER);
    firmware->extractor_min = whir_le16(header + WHIR_FIRMWARE_OFFSET_EXTRACTOR_MIN);
    firmware->extractor_max = whir_le16(header + WHIR_FIRMWARE_OFFSET_EXTRACTOR_MAX);
    memcpy(firmware->version, header + WHIR_FIRMWARE_OFFSET_VERSION, 32);
    memcpy(firmware->image_sha256, header + WHIR_FIRMWARE_OFFSET_IMAGE_SHA256, 32);
    return policy_check(firmware, header, policy);
}
