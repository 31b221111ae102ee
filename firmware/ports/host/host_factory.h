#ifndef WHIR_HOST_FACTORY_H
#define WHIR_HOST_FACTORY_H

#include <stdint.h>

struct host_node;

/* The board's side of the factory, on a computer: whir/factory.h. */
typedef struct host_factory host_factory_t;

/* Must outlive the factory. Functions that return int give 0, or a negative code. */
typedef struct host_board {
    const char *serial, *mac, *part, *flash_encryption, *refused; /* part and refused may be NULL */
    uint8_t secure_boot;
    /* Both write at most 96 bytes, terminated: "ok", or what stands against it, or nothing. */
    void (*wifi)(char *state, int32_t *rssi_dbm);
    void (*broker)(char *state);
    int (*key)(uint8_t *point);
    int (*sign)(const uint8_t *message, uint32_t bytes, uint8_t *signature);
    uint64_t (*micros)(void);
    uint32_t (*cycles)(void); /* NULL: it counts none */
    void (*say)(const char *json, uint32_t bytes);
} host_board_t;

/* `node` NULL: the board runs none. Both must outlive the factory. NULL: no memory. */
host_factory_t *host_factory_new(struct host_node *node, const host_board_t *board);
void host_factory_free(host_factory_t *factory);
int host_factory_ask(host_factory_t *factory, const char *line, uint64_t now_ms);
/* `frames` samples of `channels` counts. */
void host_factory_push(host_factory_t *factory, const int16_t *samples, uint32_t frames, uint32_t channels);
int host_factory_step(host_factory_t *factory, uint64_t now_ms);

/* NULL: a release build takes it. */
const char *host_factory_refuses(int development, const uint8_t *keys, uint32_t bytes);
/* 32 and 65 bytes in, 121 out. */
void host_private_key_write(const uint8_t *scalar, const uint8_t *point, uint8_t *der);

#endif
