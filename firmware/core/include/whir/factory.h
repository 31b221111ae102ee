#ifndef WHIR_FACTORY_H
#define WHIR_FACTORY_H

#include "whir/contract.h"
#include "whir/node.h"
#include "whir/port/board.h"

/*
 * The board's side of the factory (docs/SPEC.md, Factory): the station's questions come as lines of the serial console, the
 * answers go out as one JSON object a line. The board measures, the station judges. One task calls everything here, the node's.
 */
#define WHIR_FACTORY_NONCE_MAX_BYTES 32
#define WHIR_FACTORY_NOISE_SAMPLES 1024u

typedef struct whir_factory {
    whir_node_t *node; /* NULL while board->refused */
    whir_board_t *board;
    const struct whir_factory_test *tests; /* that are asked for; NULL: none */
    uint8_t test;                          /* of them, that is under way */
    uint64_t test_ms;
    uint8_t joined;
    char nonce[WHIR_FACTORY_NONCE_MAX_BYTES + 1];
    uint32_t counted; /* samples since the clock was told */
    uint32_t samples; /* of the noise floor */
    int64_t sum[3];
    uint64_t squares[3];
    char line[WHIR_CONSOLE_LINE_MAX_BYTES];
} whir_factory_t;

void whir_factory_init(whir_factory_t *f, whir_node_t *node, whir_board_t *board);
/* One line: `selftest`, `check` (docs/SPEC.md: the port on a real board), `csr` or `who`, and the nonce that the answer is to
 * carry. 0, or WHIR_ERR_COMMAND: none of ours. A self-test that is under way begins anew. */
int whir_factory_ask(whir_factory_t *f, const char *line, uint64_t now_ms);
/* One sample of the sensor, as for whir_node_push. */
void whir_factory_push(whir_factory_t *f, const int16_t *sample);
/* Goes on with the self-test. 1 while it is under way, else 0. */
int whir_factory_step(whir_factory_t *f, uint64_t now_ms);

/* Keys with this id and above are of a desk. */
#define WHIR_DEVELOPMENT_KEY_ID 0x80000000u
#define WHIR_BUNDLE_KEY_BYTES (4 + WHIR_POINT_BYTES) /* key_id u32 little-endian, point */
/* Why a release build refuses an identity, NULL when it does not. `keys`: as the factory writes them. */
const char *whir_factory_refuses(int development, const uint8_t *keys, uint32_t bytes);

#endif
