#ifndef WHIR_PORT_STORE_H
#define WHIR_PORT_STORE_H

#include <stdint.h>

/* Which set of texts. */
#define WHIR_STORE_KEPT 0
#define WHIR_STORE_TRIED 1

/* Settings as text by key, in two sets that a restart does not change (ESP32: NVS). May block. 0, or a negative code. */
typedef struct whir_store {
    void *ctx;
    /* WHIR_ERR_ARG when there is none, or it is longer than max - 1. */
    int (*get)(struct whir_store *store, int set, const char *key, char *text, uint32_t max);
    /* Safe once it returns; a cut in it leaves the old text or the new one. */
    int (*put)(struct whir_store *store, int set, const char *key, const char *text);
    /* All of a set, at once or not at all. */
    int (*clear)(struct whir_store *store, int set);
} whir_store_t;

#endif
