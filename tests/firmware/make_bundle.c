#include "make_bundle.h"

#include <string.h>

#include "check.h"
#include "mbed_crypto.h"
#include "whir/bundle.h"
#include "whir/bytes.h"
#include "whir/decide.h"
#include "whir/features.h"

#define WINDOW 256u
#define FEATURES 32u
#define CLASSES 2u
#define WINDOWS 2u
#define SCALE_BITS 0x3B800000u /* 1/256 */

static const uint8_t EMPTY[40];

typedef struct {
    uint8_t *data;
    uint32_t at, room;
} writer_t;

static void put(writer_t *w, const void *bytes, uint32_t count)
{
    CHECK(count <= w->room - w->at);
    memcpy(w->data + w->at, bytes, count);
    w->at += count;
}

static void put_number(writer_t *w, uint32_t v, uint32_t count)
{
    uint8_t b[4];

    whir_put_le32(b, v);
    put(w, b, count);
}

static void put_tag(writer_t *w, uint32_t tag, uint32_t length)
{
    put_number(w, tag, 2);
    put_number(w, length, 2);
}

static void put_field(writer_t *w, uint32_t tag, uint32_t v, uint32_t count)
{
    put_tag(w, tag, count);
    put_number(w, v, count);
}

static void put_text(writer_t *w, uint32_t tag, const char *text)
{
    put_tag(w, tag, (uint32_t)strlen(text));
    put(w, text, (uint32_t)strlen(text));
}

static void align(writer_t *w)
{
    while (w->at % WHIR_BUNDLE_PART_ALIGN_BYTES != 0) {
        put_number(w, 0, 1);
    }
}

static void put_params(writer_t *w)
{
    static const struct {
        uint16_t tag;
        uint8_t bytes;
        uint32_t value;
    } PARAMS[] = {
        {WHIR_PARAM_EXTRACTOR_VERSION, 2, WHIR_FEATURE_EXTRACTOR_VERSION},
        {WHIR_PARAM_RATE_HZ, 4, 1000},
        {WHIR_PARAM_BANDWIDTH_HZ, 4, 400},
        {WHIR_PARAM_RANGE_MG, 4, 2000},
        {WHIR_PARAM_NOISE_UG_RTHZ_MAX, 4, 500},
        {WHIR_PARAM_CHANNELS, 1, 1},
        {WHIR_PARAM_AXES, 1, 1},
        {WHIR_PARAM_UNIT, 1, WHIR_UNIT_G},
        {WHIR_PARAM_LSB_NANO, 4, 61000},
        {WHIR_PARAM_WINDOW_SAMPLES, 2, WINDOW},
        {WHIR_PARAM_HOP_SAMPLES, 2, WINDOW},
        {WHIR_PARAM_VERDICT_WINDOWS, 1, 7},
        {WHIR_PARAM_KIND, 1, WHIR_FEATURE_KIND_BANDS},
        {WHIR_PARAM_LEVEL, 1, WHIR_LEVEL_RELATIVE},
        {WHIR_PARAM_STATS, 1, 0},
    };

    for (uint32_t i = 0; i < sizeof PARAMS / sizeof PARAMS[0]; i++) {
        put_field(w, PARAMS[i].tag, PARAMS[i].value, PARAMS[i].bytes);
    }
    put_tag(w, WHIR_PARAM_BAND_EDGES_BINS, 2 * (FEATURES + 1));
    for (uint32_t i = 0; i <= FEATURES; i++) {
        put_number(w, 1 + 3 * i, 2);
    }
    put_tag(w, WHIR_PARAM_OFFSET, 4 * FEATURES);
    for (uint32_t i = 0; i < FEATURES; i++) {
        put_number(w, (uint32_t)-1500, 4);
    }
    put_tag(w, WHIR_PARAM_GAIN_Q16, 4 * FEATURES);
    for (uint32_t i = 0; i < FEATURES; i++) {
        put_number(w, 4000, 4);
    }
}

/* Everything before the parts; the parts' places are filled in afterwards. */
static void put_manifest(writer_t *w, const bundle_wish_t *wish)
{
    uint32_t hash_at, params_at;

    put_text(w, WHIR_TAG_MODEL_NAME, "fft32");
    put_text(w, WHIR_TAG_MODEL_VERSION, wish->version);
    put_field(w, WHIR_TAG_SECURITY_COUNTER, wish->counter, 4);
    put_text(w, WHIR_TAG_HARDWARE_CLASS, "esp32");
    put_tag(w, WHIR_TAG_CLASSES, 14);
    put(w, "\7healthy\5fault", 14);
    put_tag(w, WHIR_TAG_FEATURES_HASH, 32);
    hash_at = w->at;
    put(w, EMPTY, 32);
    put_field(w, WHIR_TAG_ARENA_BYTES, 96, 4);
    put_field(w, WHIR_TAG_KERNEL_SETS, WHIR_KERNEL_SET_WHIR_NN, 4);
    put_field(w, WHIR_TAG_SCOPE, WHIR_SCOPE_ANY_MACHINE, 1);
    put_field(w, WHIR_TAG_RAISE_PERMILLE, 800, 2);
    put_field(w, WHIR_TAG_CLEAR_PERMILLE, 500, 2);
    put_field(w, WHIR_TAG_RAISE_COUNT, 3, 1);
    put_field(w, WHIR_TAG_RAISE_OF, 5, 1);
    put_field(w, WHIR_TAG_OFF_RMS_COUNTS, 12, 2);
    params_at = w->at;
    put_params(w);
    mbed_sha256(w->data + params_at, w->at - params_at, w->data + hash_at);
}

static void put_model(writer_t *w, const bundle_wish_t *wish)
{
    uint32_t random = wish->counter * 2654435761u + (uint32_t)wish->version[0] + 1;

    for (uint32_t i = 0; i < wish->model_bytes; i++) {
        random = random * 1664525u + 1013904223u;
        put_number(w, random >> 24, 1);
    }
}

static void put_tensors(writer_t *w, const bundle_wish_t *wish, whir_inference_t *engine)
{
    put_number(w, wish->tensors, 4);
    put_number(w, FEATURES, 2);
    put_number(w, CLASSES, 2);
    for (uint32_t i = 0; i < wish->tensors; i++) {
        int8_t input[FEATURES], output[CLASSES];
        for (uint32_t k = 0; k < FEATURES; k++) {
            input[k] = (int8_t)(i * 37 + k * 11);
        }
        CHECK_EQUAL(engine->invoke(engine, input, output), 0);
        output[1] = (int8_t)(output[1] ^ (wish->wrong_tensor && i + 1 == wish->tensors));
        put(w, input, FEATURES);
        put(w, output, CLASSES);
    }
}

static void put_windows(writer_t *w, const bundle_wish_t *wish, whir_inference_t *engine, const whir_params_t *params)
{
    put_number(w, WINDOWS, 4);
    put_number(w, 2 * WINDOW, 4);
    put_number(w, FEATURES, 2);
    put_number(w, CLASSES, 2);
    for (uint32_t i = 0; i < WINDOWS; i++) {
        int16_t window[WINDOW];
        int32_t scratch[WHIR_FEATURES_SCRATCH_WORDS], features[FEATURES];
        int8_t input[FEATURES], output[CLASSES];

        for (uint32_t k = 0; k < WINDOW; k++) {
            window[k] = (int16_t)((k * k * (i + 3) * 97) % 4001) - 2000;
            put_number(w, (uint16_t)window[k], 2);
        }
        whir_features_extract(params, window, 0, scratch, features);
        whir_features_quantize(params, features, input);
        CHECK_EQUAL(engine->invoke(engine, input, output), 0);
        input[3] = (int8_t)(input[3] ^ (wish->wrong_window == 1 && i + 1 == WINDOWS));
        put(w, input, FEATURES);
        for (uint32_t k = 0; k < CLASSES; k++) {
            put_number(w, whir_permille(output[k], SCALE_BITS, -128) ^ (wish->wrong_window == 2 && i + 1 == WINDOWS), 2);
        }
    }
}

static void part_fill(writer_t *w, uint32_t place, uint32_t start)
{
    whir_put_le32(w->data + place, start);
    whir_put_le32(w->data + place + 4, w->at - start);
    mbed_sha256(w->data + start, w->at - start, w->data + place + 8);
}

uint32_t make_bundle(const bundle_wish_t *wish, uint8_t *data, uint32_t room)
{
    writer_t w = {data, 0, room};
    whir_inference_t *engine = make_bundle_engine();
    whir_model_info_t info;
    whir_params_t params;
    uint32_t places[3], length, manifest_end, start;
    uint8_t *tlv;

    put(&w, EMPTY, WHIR_BUNDLE_HEADER_BYTES);
    put_manifest(&w, wish);
    for (uint32_t i = 0; i < 3; i++) {
        put_tag(&w, WHIR_TAG_PART + WHIR_PART_KIND_MODEL + i, sizeof EMPTY);
        places[i] = w.at;
        put(&w, EMPTY, sizeof EMPTY);
    }
    manifest_end = w.at;
    tlv = make_bundle_tag(data, WHIR_PARAM_EXTRACTOR_VERSION, &length) - 4;
    CHECK_EQUAL(whir_params_parse(&params, tlv, (uint32_t)(data + places[0] - 4 - tlv)), 0);

    align(&w);
    start = w.at;
    put_model(&w, wish);
    part_fill(&w, places[0], start);
    CHECK_EQUAL(engine->load(engine, data + start, w.at - start, NULL, 0, &info), 0);
    align(&w);
    start = w.at;
    put_tensors(&w, wish, engine);
    part_fill(&w, places[1], start);
    align(&w);
    start = w.at;
    put_windows(&w, wish, engine, &params);
    part_fill(&w, places[2], start);
    align(&w);

    whir_put_le32(data + WHIR_BUNDLE_OFFSET_MAGIC, WHIR_BUNDLE_MAGIC);
    whir_put_le16(data + WHIR_BUNDLE_OFFSET_FORMAT_VERSION, WHIR_BUNDLE_FORMAT_VERSION);
    whir_put_le16(data + WHIR_BUNDLE_OFFSET_HEADER_BYTES, WHIR_BUNDLE_HEADER_BYTES);
    whir_put_le32(data + WHIR_BUNDLE_OFFSET_TOTAL_BYTES, w.at + WHIR_BUNDLE_SIGNATURE_BYTES);
    whir_put_le32(data + WHIR_BUNDLE_OFFSET_MANIFEST_BYTES, manifest_end - WHIR_BUNDLE_HEADER_BYTES);
    whir_put_le32(data + WHIR_BUNDLE_OFFSET_KEY_ID, MBED_KEY_ID);
    CHECK(WHIR_BUNDLE_SIGNATURE_BYTES <= room - w.at);
    make_bundle_sign(data, w.at + WHIR_BUNDLE_SIGNATURE_BYTES, wish->foreign_key);
    return w.at + WHIR_BUNDLE_SIGNATURE_BYTES;
}

void make_bundle_sign(uint8_t *data, uint32_t bytes, int foreign)
{
    uint8_t digest[32];

    whir_put_le32(data + WHIR_BUNDLE_OFFSET_CRC32, whir_crc32(0, data, WHIR_BUNDLE_OFFSET_CRC32));
    mbed_sha256(data, WHIR_BUNDLE_HEADER_BYTES + whir_le32(data + WHIR_BUNDLE_OFFSET_MANIFEST_BYTES), digest);
    mbed_sign(digest, data + bytes - WHIR_BUNDLE_SIGNATURE_BYTES, foreign);
}

uint8_t *make_bundle_tag(uint8_t *data, uint32_t tag, uint32_t *length)
{
    uint8_t *p = data + WHIR_BUNDLE_HEADER_BYTES;

    while (whir_le16(p) != tag) {
        p += 4 + whir_le16(p + 2);
    }
    *length = whir_le16(p + 2);
    return p + 4;
}

static const uint8_t *engine_model;
static uint32_t engine_model_bytes;

static int engine_load(whir_inference_t *engine, const uint8_t *model, uint32_t model_bytes, uint8_t *arena,
                       uint32_t arena_bytes, whir_model_info_t *info)
{
    (void)engine, (void)arena, (void)arena_bytes;
    engine_model = model;
    engine_model_bytes = model_bytes;
    *info = (whir_model_info_t){.input_bytes = FEATURES,
                                .output_bytes = CLASSES,
                                .arena_bytes = 0,
                                .output_scale_bits = SCALE_BITS,
                                .output_zero_point = -128};
    return 0;
}

static int engine_invoke(whir_inference_t *engine, const int8_t *input, int8_t *output)
{
    uint32_t crc = whir_crc32(whir_crc32(0, engine_model, engine_model_bytes), input, FEATURES);

    (void)engine;
    output[0] = (int8_t)crc;
    output[1] = (int8_t)(crc >> 8);
    return 0;
}

whir_inference_t *make_bundle_engine(void)
{
    static whir_inference_t engine = {
        .name = "test", .kernel_set = WHIR_KERNEL_SET_WHIR_NN, .load = engine_load, .invoke = engine_invoke};

    return &engine;
}
