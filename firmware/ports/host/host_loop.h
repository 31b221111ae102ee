#ifndef WHIR_HOST_LOOP_H
#define WHIR_HOST_LOOP_H

#include <stdint.h>

#include "host_board.h"
#include "host_factory.h"

/* The loop of a node over wiring of software, and the parts that it is made of: network, download, console. */
struct host_node;
typedef struct host_wiring {
    void (*radio)(int on);
    void (*join)(void);
    void (*connect)(const char *will, uint32_t bytes, int birth);
    void (*leave)(void);
    uint32_t (*command)(void *payload, uint32_t bytes_max);
    uint64_t (*clock_set)(void);
    uint32_t (*piece)(uint8_t *data, int *error); /* UINT32_MAX: none waits */
    void (*answer)(int result);
    int (*sensor)(int wanted);
    void (*sleep)(uint32_t ms, int motion);
} host_wiring_t;

typedef struct host_loop host_loop_t;
/* `node` NULL: the board runs none. */
host_loop_t *host_loop_new(struct host_node *node, host_factory_t *factory, const host_wiring_t *calls);
void host_loop_free(host_loop_t *loop);
void host_loop_see(host_loop_t *loop, int joined, int parted, int connected, int broken);
void host_loop_push(host_loop_t *loop, const int16_t *samples, uint32_t count, int gap, uint64_t now_ms);
void host_loop_step(host_loop_t *loop, uint64_t now_ms);

typedef struct host_network host_network_t;
host_network_t *host_network_new(void);
void host_network_free(host_network_t *network);
int host_network_step(host_network_t *network, int wanted, int joined, int parted, int connected, int broken, uint32_t random,
                      uint64_t now_ms);

typedef struct host_http {
    int (*open)(const char *url, uint32_t at);
    int (*read)(void *buffer, uint32_t bytes_max);
    void (*close)(void);
    int (*take)(const void *data, uint32_t bytes);
} host_http_t;
/* All of a download. What became of it; how many pauses there were, and the sum of their ms. */
int host_fetch(const char *url, uint32_t bytes, const host_http_t *calls, uint32_t *pauses, uint32_t *paused_ms);

typedef struct host_control {
    void (*restart)(int forget_settings);
    int has_health; /* as the numbers below */
    uint32_t heap_min, stack_min;
    const char *stack_task;
} host_control_t;
int host_console(host_factory_t *factory, const host_store_t *store, const host_control_t *control, int count, char **words,
                 uint64_t now_ms);
/* Words and helps in order, NULL behind the last. */
const char *host_console_word(int index);
const char *host_console_help(int index);

/* state, baseline, captures, alerts, telemetry: address and sectors each. */
void host_layout(uint32_t sector_bytes, uint32_t state, uint32_t spool, uint32_t spool_bytes, uint32_t out[10]);

#endif
