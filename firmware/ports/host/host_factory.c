#include "host_factory.h"

#include <stdlib.h>

#include "seams.h"
#include "whir/csr.h"
#include "whir/factory.h"

#define STATE_BYTES 96

struct host_factory {
    whir_factory_t core;
    whir_board_t board;
    const host_board_t *calls;
    char state[STATE_BYTES];
};

static const char *wifi(whir_board_t *board, int32_t *rssi_dbm)
{
    host_factory_t *factory = board->ctx;

    factory->state[0] = 0;
    factory->calls->wifi(factory->state, rssi_dbm);
    return factory->state[0] != 0 ? factory->state : NULL;
}

static const char *broker(whir_board_t *board)
{
    host_factory_t *factory = board->ctx;

    factory->state[0] = 0;
    factory->calls->broker(factory->state);
    return factory->state[0] != 0 ? factory->state : NULL;
}

static int key(whir_board_t *board, uint8_t point[WHIR_POINT_BYTES])
{
    return ((host_factory_t *)board->ctx)->calls->key(point);
}

static int sign(whir_board_t *board, const void *message, uint32_t bytes, uint8_t signature[64])
{
    return ((host_factory_t *)board->ctx)->calls->sign(message, bytes, signature);
}

static uint64_t micros(whir_board_t *board)
{
    return ((host_factory_t *)board->ctx)->calls->micros();
}

static uint32_t cycles(whir_board_t *board)
{
    return ((host_factory_t *)board->ctx)->calls->cycles();
}

static void say(whir_board_t *board, const char *json, uint32_t bytes)
{
    ((host_factory_t *)board->ctx)->calls->say(json, bytes);
}

host_factory_t *host_factory_new(struct host_node *node, const host_board_t *calls)
{
    host_factory_t *factory = malloc(sizeof *factory);

    if (factory == NULL) {
        return NULL;
    }
    factory->calls = calls;
    factory->board = (whir_board_t){
        .ctx = factory,
        .serial = calls->serial,
        .mac = calls->mac,
        .part = calls->part,
        .flash_encryption = calls->flash_encryption,
        .secure_boot = calls->secure_boot,
        .refused = calls->refused,
        .wifi = wifi,
        .broker = broker,
        .key = key,
        .sign = sign,
        .micros = micros,
        .cycles = calls->cycles == NULL ? NULL : cycles,
        .say = say,
    };
    whir_factory_init(&factory->core, node != NULL ? host_node_core(node) : NULL, &factory->board);
    return factory;
}

whir_factory_t *host_factory_core(host_factory_t *factory)
{
    return &factory->core;
}

void host_factory_free(host_factory_t *factory)
{
    free(factory);
}

int host_factory_ask(host_factory_t *factory, const char *line, uint64_t now_ms)
{
    return whir_factory_ask(&factory->core, line, now_ms);
}

void host_factory_push(host_factory_t *factory, const int16_t *samples, uint32_t frames, uint32_t channels)
{
    for (uint32_t i = 0; i < frames; i++) {
        whir_factory_push(&factory->core, samples + i * channels);
    }
}

int host_factory_step(host_factory_t *factory, uint64_t now_ms)
{
    return whir_factory_step(&factory->core, now_ms);
}

const char *host_factory_refuses(int development, const uint8_t *keys, uint32_t bytes)
{
    return whir_factory_refuses(development, keys, bytes);
}

void host_private_key_write(const uint8_t *scalar, const uint8_t *point, uint8_t *der)
{
    whir_private_key_write(scalar, point, der);
}
