#include "host_loop.h"

#include <stdlib.h>
#include <string.h>

#include "seams.h"
#include "whir/console.h"
#include "whir/fetch.h"
#include "whir/loop.h"

struct host_loop {
    whir_loop_t core;
    whir_wiring_t wiring;
    host_wiring_t calls;
    whir_piece_t piece;
    uint8_t data[WHIR_FETCH_PIECE_BYTES];
};

#define CALLS(w) (((host_loop_t *)(w)->ctx)->calls)

static void wiring_radio(whir_wiring_t *w, int on)
{
    CALLS(w).radio(on);
}

static void wiring_join(whir_wiring_t *w)
{
    CALLS(w).join();
}

static void wiring_connect(whir_wiring_t *w, const char *will, uint32_t bytes)
{
    CALLS(w).connect(will, bytes, w->birth);
}

static void wiring_leave(whir_wiring_t *w)
{
    CALLS(w).leave();
}

static uint32_t wiring_command(whir_wiring_t *w, void *payload, uint32_t bytes_max)
{
    return CALLS(w).command(payload, bytes_max);
}

static uint64_t wiring_clock_set(whir_wiring_t *w)
{
    return CALLS(w).clock_set();
}

static const whir_piece_t *wiring_piece(whir_wiring_t *w)
{
    host_loop_t *loop = w->ctx;

    loop->piece.bytes = loop->calls.piece(loop->data, &loop->piece.error);
    loop->piece.data = loop->data;
    return loop->piece.bytes == UINT32_MAX ? NULL : &loop->piece;
}

static void wiring_answer(whir_wiring_t *w, int result)
{
    CALLS(w).answer(result);
}

static int wiring_sensor(whir_wiring_t *w, int wanted)
{
    return CALLS(w).sensor(wanted);
}

static void wiring_sleep(whir_wiring_t *w, const whir_node_t *node, uint32_t ms, int motion)
{
    (void)node;
    CALLS(w).sleep(ms, motion);
}

static uint32_t wiring_random(whir_wiring_t *w)
{
    (void)w;
    return 0;
}

host_loop_t *host_loop_new(struct host_node *node, host_factory_t *factory, const host_wiring_t *calls)
{
    host_loop_t *loop = calloc(1, sizeof *loop);

    if (loop == NULL) {
        return NULL;
    }
    loop->calls = *calls;
    loop->wiring = (whir_wiring_t){
        .ctx = loop,
        .radio = wiring_radio,
        .join = wiring_join,
        .connect = wiring_connect,
        .leave = wiring_leave,
        .command = wiring_command,
        .clock_set = wiring_clock_set,
        .piece = wiring_piece,
        .answer = wiring_answer,
        .sensor = wiring_sensor,
        .sleep = wiring_sleep,
        .random = wiring_random,
    };
    whir_loop_init(&loop->core, node == NULL ? NULL : host_node_core(node), host_factory_core(factory), &loop->wiring);
    return loop;
}

void host_loop_free(host_loop_t *loop)
{
    free(loop);
}

void host_loop_see(host_loop_t *loop, int joined, int parted, int connected, int broken)
{
    loop->wiring.joined = joined != 0;
    loop->wiring.parted = parted != 0;
    loop->wiring.connected = connected != 0;
    loop->wiring.broken = broken != 0;
}

void host_loop_push(host_loop_t *loop, const int16_t *samples, uint32_t count, int gap, uint64_t now_ms)
{
    whir_loop_push(&loop->core, samples, count, gap, now_ms);
}

void host_loop_step(host_loop_t *loop, uint64_t now_ms)
{
    whir_loop_step(&loop->core, now_ms);
}

struct host_network {
    whir_network_t core;
};

host_network_t *host_network_new(void)
{
    return calloc(1, sizeof(host_network_t));
}

void host_network_free(host_network_t *network)
{
    free(network);
}

int host_network_step(host_network_t *network, int wanted, int joined, int parted, int connected, int broken, uint32_t random,
                      uint64_t now_ms)
{
    const whir_network_seen_t seen = {(uint8_t)wanted, (uint8_t)joined, (uint8_t)parted, (uint8_t)connected, (uint8_t)broken};

    return whir_network_step(&network->core, &seen, random, now_ms);
}

static int http_open(whir_http_t *http, const char *url, uint32_t at)
{
    return ((const host_http_t *)http->ctx)->open(url, at);
}

static int http_read(whir_http_t *http, void *buffer, uint32_t bytes_max)
{
    return ((const host_http_t *)http->ctx)->read(buffer, bytes_max);
}

static void http_close(whir_http_t *http)
{
    ((const host_http_t *)http->ctx)->close();
}

static int http_take(whir_fetch_t *d, const void *data, uint32_t bytes)
{
    return ((const host_http_t *)d->ctx)->take(data, bytes);
}

int host_fetch(const char *url, uint32_t bytes, const host_http_t *calls, uint32_t *pauses, uint32_t *paused_ms)
{
    whir_http_t http = {(void *)calls, http_open, http_read, http_close};
    whir_fetch_t download = {.ctx = (void *)calls, .take = http_take};
    int err = whir_fetch_begin(&download, url, bytes);
    int32_t wait_ms;

    *pauses = *paused_ms = 0;
    while (err == 0 && (wait_ms = whir_fetch_step(&download, &http, 0)) != WHIR_FETCH_DONE) {
        *pauses += 1;
        *paused_ms += (uint32_t)wait_ms;
    }
    return err < 0 ? err : download.error;
}

static void control_restart(whir_control_t *control, int forget_settings)
{
    ((const host_control_t *)control->ctx)->restart(forget_settings);
}

static void control_health(whir_control_t *control, whir_health_t *health)
{
    const host_control_t *calls = control->ctx;

    health->heap_min = calls->heap_min;
    health->stack_min = calls->stack_min;
    health->stack_task = calls->stack_task;
}

int host_console(host_factory_t *factory, const host_store_t *store, const host_control_t *control, int count, char **words,
                 uint64_t now_ms)
{
    whir_store_t store_seam = host_store_seam(store);
    whir_control_t control_seam = {
        .ctx = (void *)control, .restart = control_restart, .health = control->has_health ? control_health : NULL};
    whir_console_t console = {host_factory_core(factory), &store_seam, &control_seam};

    return whir_console_do(&console, count, words, now_ms);
}

const char *host_console_word(int index)
{
    return WHIR_CONSOLE_COMMANDS[index].word;
}

const char *host_console_help(int index)
{
    return WHIR_CONSOLE_COMMANDS[index].help;
}

void host_layout(uint32_t sector_bytes, uint32_t state, uint32_t spool, uint32_t spool_bytes, uint32_t out[10])
{
    whir_node_layout_t l;

    whir_node_layout(&l, sector_bytes, state, spool, spool_bytes);
    const uint32_t found[10] = {l.state_base,     2,
                                l.baseline_base,  l.baseline_sectors,
                                l.capture_base,   l.capture_slots * whir_capture_slot_sectors(sector_bytes),
                                l.alert_base,     l.alert_sectors,
                                l.telemetry_base, l.telemetry_sectors};
    memcpy(out, found, sizeof found);
}
