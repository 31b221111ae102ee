#ifndef WHIR_FETCH_H
#define WHIR_FETCH_H

#include "whir/contract.h"
#include "whir/port/http.h"

#define WHIR_FETCH_PIECE_BYTES 1024u
#define WHIR_FETCH_ATTEMPTS 8u /* without a byte in between */
#define WHIR_FETCH_DONE -1

/* Bytes that come over connections that break off: it goes on where it was, also where the server gives all of it again. */
typedef struct whir_fetch {
    void *ctx;
    /* The next bytes. Negative: nobody wants the rest. May block. */
    int (*take)(struct whir_fetch *d, const void *data, uint32_t bytes);
    char url[WHIR_MESSAGE_URL_MAX_BYTES + 1];
    uint32_t wanted, have, failures;
    int error; /* once it is done: 0, or why it is not whole */
    uint8_t piece[WHIR_FETCH_PIECE_BYTES];
} whir_fetch_t;

/* 0, or WHIR_ERR_ARG. */
int whir_fetch_begin(whir_fetch_t *d, const char *url, uint32_t bytes);
/* One connection, as long as it lasts. _DONE, and d->error; else how many ms to wait before the next call. */
int32_t whir_fetch_step(whir_fetch_t *d, whir_http_t *http, uint32_t random);

#endif
