/* Bad bundles under the sanitizers: each is refused with its own code, and nothing outside its bytes is read. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "make_bundle.h"
#include "mbed_crypto.h"
#include "whir/bundle.h"
#include "whir/bytes.h"

#define ROOM 16384u

static const bundle_wish_t WISH = {.version = "2", .counter = 5, .model_bytes = 3784, .tensors = 8};
static uint8_t good[ROOM];
static uint32_t good_bytes;

/* Opens a copy that is exactly as long as stated: one byte further is the sanitizer's. */
static int open_copy(const uint8_t *data, uint32_t bytes, const whir_bundle_policy_t *policy)
{
    static const whir_bundle_policy_t POLICY = {"esp32", 5, WHIR_KERNEL_SET_WHIR_NN};
    uint8_t *copy = malloc(bytes == 0 ? 1 : bytes);
    whir_bundle_t bundle;
    int err;

    memcpy(copy, data, bytes);
    err = whir_bundle_open(&bundle, copy, bytes, mbed_crypto(), policy == NULL ? &POLICY : policy);
    free(copy);
    return err;
}

static void test_a_good_bundle_opens_with_all_its_fields(void)
{
    static const whir_bundle_policy_t POLICY = {"esp32", 5, WHIR_KERNEL_SET_WHIR_NN};
    whir_bundle_t bundle;

    CHECK_EQUAL(whir_bundle_open(&bundle, good, ROOM, mbed_crypto(), &POLICY), 0); /* a slot is longer than its bundle */
    CHECK_EQUAL(bundle.total_bytes, good_bytes);
    CHECK_EQUAL(strcmp(bundle.model_name, "fft32"), 0);
    CHECK_EQUAL(strcmp(bundle.model_version, "2"), 0);
    CHECK_EQUAL(strcmp(bundle.hardware_class, "esp32"), 0);
    CHECK_EQUAL(bundle.class_count, 2);
    CHECK_EQUAL(strcmp(bundle.classes[0], "healthy"), 0);
    CHECK_EQUAL(strcmp(bundle.classes[1], "fault"), 0);
    CHECK_EQUAL(bundle.security_counter, 5);
    CHECK_EQUAL(bundle.arena_bytes, 96);
    CHECK_EQUAL(bundle.kernel_sets, WHIR_KERNEL_SET_WHIR_NN);
    CHECK_EQUAL(bundle.scope, WHIR_SCOPE_ANY_MACHINE);
    CHECK_EQUAL(bundle.raise_permille, 800);
    CHECK_EQUAL(bundle.clear_permille, 500);
    CHECK_EQUAL(bundle.raise_count, 3);
    CHECK_EQUAL(bundle.raise_of, 5);
    CHECK_EQUAL(bundle.off_rms_counts, 12);
    CHECK_EQUAL(bundle.model.bytes, 3784);
    CHECK_EQUAL((bundle.model.data - bundle.data) % 16, 0);
    CHECK(bundle.evaluation.data == NULL);
    CHECK_EQUAL(whir_params_feature_count(&bundle.params), 32);
}

static void test_every_truncation_is_told_as_such(void)
{
    for (uint32_t bytes = 0; bytes < good_bytes; bytes++) {
        CHECK_EQUAL(open_copy(good, bytes, NULL), WHIR_ERR_BUNDLE_TRUNCATED);
    }
}

/* Flips every `step`-th bit of the bytes `first` to `last`. */
static void bits_flip(uint32_t first, uint32_t last, uint32_t step, int wanted, int or_wanted)
{
    for (uint32_t bit = 8 * first; bit < 8 * last; bit += step) {
        int err;

        good[bit / 8] ^= (uint8_t)(1 << bit % 8);
        err = open_copy(good, good_bytes, NULL);
        good[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(err == wanted || err == or_wanted);
    }
}

static void test_flipped_bits_are_refused_with_the_right_code(void)
{
    uint32_t manifest_end = WHIR_BUNDLE_HEADER_BYTES + whir_le32(good + WHIR_BUNDLE_OFFSET_MANIFEST_BYTES);
    uint32_t signature = good_bytes - WHIR_BUNDLE_SIGNATURE_BYTES;

    bits_flip(0, WHIR_BUNDLE_HEADER_BYTES, 1, WHIR_ERR_BUNDLE_HEADER, WHIR_ERR_BUNDLE_HEADER);
    bits_flip(WHIR_BUNDLE_HEADER_BYTES, manifest_end, 9 /* each byte; each bit in test_bundle.py */, WHIR_ERR_BUNDLE_SIGNATURE,
              WHIR_ERR_BUNDLE_SIGNATURE);
    bits_flip(manifest_end, signature, 11, WHIR_ERR_BUNDLE_PART_HASH, WHIR_ERR_BUNDLE_MANIFEST /* a gap that is not zero */);
    bits_flip(signature, good_bytes, 3, WHIR_ERR_BUNDLE_SIGNATURE, WHIR_ERR_BUNDLE_SIGNATURE);
}

static void test_key_counter_class_engine_and_features_each_have_their_code(void)
{
    static const whir_bundle_policy_t COUNTER = {"esp32", 6, WHIR_KERNEL_SET_WHIR_NN},
                                      CLASS = {"host", 5, WHIR_KERNEL_SET_WHIR_NN},
                                      ENGINE = {"esp32", 5, WHIR_KERNEL_SET_TFLM_REFERENCE};
    static uint8_t other[ROOM];
    bundle_wish_t foreign = WISH;
    uint32_t length;

    CHECK_EQUAL(open_copy(good, good_bytes, &COUNTER), WHIR_ERR_BUNDLE_COUNTER);
    CHECK_EQUAL(open_copy(good, good_bytes, &CLASS), WHIR_ERR_BUNDLE_HARDWARE);
    CHECK_EQUAL(open_copy(good, good_bytes, &ENGINE), WHIR_ERR_BUNDLE_KERNELS);
    foreign.foreign_key = 1;
    CHECK_EQUAL(open_copy(other, make_bundle(&foreign, other, ROOM), NULL), WHIR_ERR_BUNDLE_SIGNATURE);
    memcpy(other, good, good_bytes);
    make_bundle_tag(other, WHIR_TAG_FEATURES_HASH, &length)[0] ^= 1;
    make_bundle_sign(other, good_bytes, 0);
    CHECK_EQUAL(open_copy(other, good_bytes, NULL), WHIR_ERR_BUNDLE_FEATURES);
    memcpy(other, good, good_bytes);
    whir_put_le16(other + WHIR_BUNDLE_OFFSET_FORMAT_VERSION, 2);
    make_bundle_sign(other, good_bytes, 0);
    CHECK_EQUAL(open_copy(other, good_bytes, NULL), WHIR_ERR_VERSION);
    memcpy(other, good, good_bytes);
    whir_put_le32(other + WHIR_BUNDLE_OFFSET_KEY_ID, MBED_KEY_ID + 1);
    make_bundle_sign(other, good_bytes, 0);
    CHECK_EQUAL(open_copy(other, good_bytes, NULL), WHIR_ERR_BUNDLE_SIGNATURE);
}

/* Only the key's owner could write these; the core must not read outside all the same. */
static void test_signed_garbage_never_reads_outside(void)
{
    static uint8_t data[ROOM];
    uint32_t manifest_bytes = whir_le32(good + WHIR_BUNDLE_OFFSET_MANIFEST_BYTES), random = 1, refused = 0;

    for (uint32_t run = 0; run < 800; run++) {
        memcpy(data, good, good_bytes);
        for (uint32_t i = 0; i < 1 + run % 4; i++) {
            random = random * 1664525u + 1013904223u;
            data[8 + (random >> 8) % (manifest_bytes + WHIR_BUNDLE_HEADER_BYTES - 8)] = (uint8_t)(random >> 24);
        }
        if (whir_le32(data + WHIR_BUNDLE_OFFSET_MANIFEST_BYTES) != manifest_bytes ||
            whir_le32(data + WHIR_BUNDLE_OFFSET_TOTAL_BYTES) != good_bytes) {
            whir_put_le32(data + WHIR_BUNDLE_OFFSET_CRC32, whir_crc32(0, data, WHIR_BUNDLE_OFFSET_CRC32));
        } else {
            make_bundle_sign(data, good_bytes, 0);
        }
        refused += open_copy(data, good_bytes, NULL) < 0;
    }
    CHECK(refused > 600);
}

/* The length of the model wraps round to the end of the manifest, and the next part takes the model's place. */
static void test_a_part_length_that_wraps_round_is_refused(void)
{
    static uint8_t data[ROOM];
    uint32_t manifest_end = WHIR_BUNDLE_HEADER_BYTES + whir_le32(good + WHIR_BUNDLE_OFFSET_MANIFEST_BYTES), length;
    uint8_t *model, *tensors, *windows;

    memcpy(data, good, good_bytes);
    model = make_bundle_tag(data, WHIR_TAG_PART + WHIR_PART_KIND_MODEL, &length);
    tensors = make_bundle_tag(data, WHIR_TAG_PART + WHIR_PART_KIND_GOLDEN_TENSORS, &length);
    windows = make_bundle_tag(data, WHIR_TAG_PART + WHIR_PART_KIND_GOLDEN_WINDOWS, &length);
    CHECK(manifest_end < whir_le32(model));
    whir_put_le32(model + 4, manifest_end - whir_le32(model));
    whir_put_le32(tensors, whir_le32(model));
    whir_put_le32(tensors + 4, whir_le32(windows) - whir_le32(model));
    make_bundle_sign(data, good_bytes, 0);
    CHECK_EQUAL(open_copy(data, good_bytes, NULL), WHIR_ERR_BUNDLE_MANIFEST);
}

int main(void)
{
    good_bytes = make_bundle(&WISH, good, ROOM);
    RUN(test_a_good_bundle_opens_with_all_its_fields);
    RUN(test_every_truncation_is_told_as_such);
    RUN(test_flipped_bits_are_refused_with_the_right_code);
    RUN(test_key_counter_class_engine_and_features_each_have_their_code);
    RUN(test_a_part_length_that_wraps_round_is_refused);
    RUN(test_signed_garbage_never_reads_outside);
    return 0;
}
