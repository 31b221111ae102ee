#include "whir/factory.h"

#include <string.h>

#include "factory_parts.h"
#include "fixed.h"
#include "whir/base64.h"
#include "whir/bytes.h"
#include "whir/csr.h"

static int answer_node(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    const whir_board_t *board = f->board;
    const whir_node_t *node = f->node;

    (void)waited_ms;
    whir_json_string(j, "nonce", f->nonce);
    whir_json_string(j, "mac", board->mac);
    if (node == NULL) {
        whir_json_string(j, "code", board->refused);
        return 1;
    }
    whir_json_string(j, "serial", board->serial);
    whir_json_string(j, "site", node->config.site);
    whir_json_string(j, "node", node->config.name);
    whir_json_string(j, "hardware", node->config.hardware_class);
    whir_json_string(j, "fw", node->config.firmware_version);
    whir_json_string(j, "model", node->serving ? node->bundle.model_name : NULL);
    whir_json_string(j, "model_version", node->serving ? node->bundle.model_version : NULL);
    whir_json_bool(j, "secure_boot", board->secure_boot);
    whir_json_string(j, "flash_encryption", board->flash_encryption);
    return 1;
}

static int answer_sensor(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    (void)waited_ms;
    whir_json_string(j, "part", f->board->part);
    f->samples = 0;
    memset(f->sum, 0, sizeof f->sum);
    memset(f->squares, 0, sizeof f->squares);
    return 1;
}

/* RMS about the mean of the worst axis, micro-g. */
static uint32_t noise_ug(const whir_factory_t *f)
{
    uint64_t worst = 0;

    for (int axis = 0; axis < 3; axis++) {
        /* n² times the variance: at most 2^50 for 1024 samples of 16 bits */
        uint64_t spread = f->squares[axis] * f->samples - (uint64_t)(f->sum[axis] * f->sum[axis]);
        worst = spread > worst ? spread : worst;
    }
    /* in 1/64 of a count */
    return (uint32_t)((uint64_t)whir_isqrt64(worst << 12) / f->samples * f->node->config.sensor.lsb_nano / 64000u);
}

static int answer_noise(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    if (f->node->config.sensor.unit != WHIR_UNIT_G) {
        whir_json_string(j, "code", "not an accelerometer in g");
    } else if (f->samples >= WHIR_FACTORY_NOISE_SAMPLES) {
        whir_json_u64(j, "ug", noise_ug(f));
    } else if (waited_ms >= WHIR_CONSOLE_SAMPLES_MS) {
        whir_json_string(j, "code", "no samples");
    } else {
        return 0;
    }
    return 1;
}

int whir_factory_golden(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    whir_golden_mismatch_t mismatch;
    int vectors = whir_node_prove(f->node, &mismatch);

    (void)waited_ms;
    whir_json_u64(j, "vectors", vectors < 0 ? 0 : (uint64_t)vectors);
    whir_json_u64(j, "failed", vectors < 0);
    if (vectors == WHIR_ERR_BUNDLE_GOLDEN) {
        whir_json_u64(j, "vector", mismatch.vector);
        whir_json_u64(j, "byte", mismatch.byte);
        whir_json_i32(j, "got", mismatch.got);
        whir_json_i32(j, "wanted", mismatch.wanted);
    }
    if (vectors < 0) {
        whir_json_string(j, "code", whir_error_name(vectors));
    }
    return 1;
}

static int is_ok(const char *state)
{
    return state != NULL && strcmp(state, "ok") == 0;
}

static int answer_wifi(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    int32_t rssi_dbm = 0;
    const char *state = f->board->wifi(f->board, &rssi_dbm);

    f->joined = (uint8_t)is_ok(state);
    if (f->joined) {
        whir_json_i32(j, "rssi_dbm", rssi_dbm);
    } else if (waited_ms >= WHIR_CONSOLE_NETWORK_MS) {
        whir_json_string(j, "code", state != NULL ? state : "no answer");
    } else {
        return 0;
    }
    return 1;
}

static int answer_broker(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    const char *state = f->joined ? f->board->broker(f->board) : "no network";

    if (f->joined && !is_ok(state) && waited_ms < WHIR_CONSOLE_NETWORK_MS) {
        return 0;
    }
    whir_json_string(j, "code", state != NULL ? state : "no answer");
    return 1;
}

static int answer_end(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    (void)waited_ms;
    whir_json_string(j, "nonce", f->nonce);
    return 1;
}

static int answer_end_timed(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    (void)answer_end(f, j, waited_ms);
    whir_json_u64(j, "us", f->board->micros == NULL ? 0 : f->board->micros(f->board));
    return 1;
}

/* In order. Without a node there is nothing to test between the first and the last. */
static const struct whir_factory_test SELFTEST[] = {
    {"node", answer_node}, {"sensor", answer_sensor}, {"noise", answer_noise}, {"golden", whir_factory_golden},
    {"wifi", answer_wifi}, {"broker", answer_broker}, {"end", answer_end},     {NULL, NULL},
};
static const struct whir_factory_test CHECK[] = {
    {"node", answer_node},           {"sensor", whir_factory_facts},
    {"clock", whir_factory_clock},   {"rate", whir_factory_rate},
    {"noise", answer_noise},         {"flash", whir_factory_flash},
    {"cycles", whir_factory_cycles}, {"golden", whir_factory_golden_timed},
    {"end", answer_end_timed},       {NULL, NULL},
};

void whir_factory_init(whir_factory_t *f, whir_node_t *node, whir_board_t *board)
{
    memset(f, 0, sizeof *f);
    f->node = node;
    f->board = board;
}

/* One answer of this kind, said when it is whole. 0: not yet. */
static int tell(whir_factory_t *f, const char *kind, whir_factory_answer_t fields, uint64_t waited_ms)
{
    whir_json_t j;
    int bytes;

    whir_json_begin(&j, f->line, sizeof f->line);
    whir_json_string(&j, "t", kind);
    if (!fields(f, &j, waited_ms)) {
        return 0;
    }
    bytes = whir_json_end(&j);
    if (bytes > 0) { /* what does not fit is not said: a missing answer is a failed test */
        f->board->say(f->board, f->line, (uint32_t)bytes);
    }
    return 1;
}

int whir_factory_step(whir_factory_t *f, uint64_t now_ms)
{
    if (f->tests != NULL && tell(f, f->tests[f->test].name, f->tests[f->test].fields, now_ms - f->test_ms)) {
        do {
            f->test++;
        } while (f->node == NULL && f->tests[f->test].name != NULL && f->tests[f->test + 1].name != NULL);
        f->test_ms = now_ms;
        f->tests = f->tests[f->test].name == NULL ? NULL : f->tests;
    }
    return f->tests != NULL;
}

void whir_factory_push(whir_factory_t *f, const int16_t *sample)
{
    f->counted++;
    if (f->tests == NULL || f->samples >= WHIR_FACTORY_NOISE_SAMPLES) {
        return;
    }
    for (int axis = 0; axis < f->node->config.sensor.channels; axis++) {
        f->sum[axis] += sample[axis];
        f->squares[axis] += (uint64_t)((int32_t)sample[axis] * sample[axis]);
    }
    f->samples++;
}

/* --- questions --- */

static int board_sign(void *signer, const void *message, uint32_t bytes, uint8_t signature[64])
{
    whir_board_t *board = signer;

    return board->sign(board, message, bytes, signature);
}

static int answer_csr(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    uint8_t der[WHIR_CSR_MAX_BYTES], point[WHIR_POINT_BYTES];
    char text[WHIR_BASE64_CHARS(WHIR_CSR_MAX_BYTES) + 1];
    int bytes = f->board->key(f->board, point);

    (void)waited_ms;
    whir_json_string(j, "nonce", f->nonce);
    bytes = bytes < 0 ? bytes : whir_csr_write(point, f->board->mac, board_sign, f->board, der);
    if (bytes < 0) {
        whir_json_string(j, "code", whir_error_name(bytes));
        return 1;
    }
    whir_base64_write(der, (uint32_t)bytes, text);
    whir_json_string(j, "der", text);
    return 1;
}

static int answer_who(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms)
{
    (void)waited_ms;
    whir_json_string(j, "nonce", f->nonce);
    whir_json_string(j, "mac", f->board->mac);
    return 1;
}

static const struct question {
    const char *word;
    whir_factory_answer_t fields; /* NULL: these, in steps */
    const struct whir_factory_test *tests;
} QUESTIONS[] = {{"selftest", NULL, SELFTEST}, {"check", NULL, CHECK}, {"csr", answer_csr, NULL}, {"who", answer_who, NULL}};

static uint32_t word_bytes(const char *text)
{
    uint32_t bytes = 0;

    while ((uint8_t)text[bytes] > ' ') {
        bytes++;
    }
    return bytes;
}

int whir_factory_ask(whir_factory_t *f, const char *line, uint64_t now_ms)
{
    uint32_t word = word_bytes(line);
    const char *nonce = line + word + (line[word] == ' ');
    uint32_t bytes = word_bytes(nonce);

    for (unsigned i = 0; i < sizeof QUESTIONS / sizeof QUESTIONS[0]; i++) {
        if (strlen(QUESTIONS[i].word) != word || memcmp(line, QUESTIONS[i].word, word) != 0 ||
            bytes > WHIR_FACTORY_NONCE_MAX_BYTES) {
            continue;
        }
        memcpy(f->nonce, nonce, bytes);
        f->nonce[bytes] = 0;
        if (QUESTIONS[i].fields != NULL) {
            (void)tell(f, QUESTIONS[i].word, QUESTIONS[i].fields, 0);
        } else {
            f->tests = QUESTIONS[i].tests;
            f->test = 0;
            f->test_ms = now_ms;
        }
        return 0;
    }
    return WHIR_ERR_COMMAND;
}

const char *whir_factory_refuses(int development, const uint8_t *keys, uint32_t bytes)
{
    for (uint32_t at = 0; at + WHIR_BUNDLE_KEY_BYTES <= bytes; at += WHIR_BUNDLE_KEY_BYTES) {
        development |= whir_le32(keys + at) >= WHIR_DEVELOPMENT_KEY_ID;
    }
    return development ? "development keys in a release build" : NULL;
}
