#include "whir/fetch.h"

#include <string.h>

#include "whir/backoff.h"

#define HTTP_OK 200
#define HTTP_PARTIAL 206
#define HTTP_SERVER_ERROR 500 /* and above: it may be better later */

int whir_fetch_begin(whir_fetch_t *d, const char *url, uint32_t bytes)
{
    size_t length = strlen(url);

    if (length >= sizeof d->url) {
        return WHIR_ERR_ARG;
    }
    memcpy(d->url, url, length + 1);
    d->wanted = bytes;
    d->have = 0;
    d->failures = 0;
    d->error = 0;
    return 0;
}

/* The body, of which `skip` bytes are here already. 0, also when it breaks off; negative: nobody wants the rest. */
static int read_body(whir_fetch_t *d, whir_http_t *http, uint32_t skip)
{
    while (d->have < d->wanted) {
        uint32_t left = skip > 0 ? skip : d->wanted - d->have;
        int got = http->read(http, d->piece, left < sizeof d->piece ? left : (uint32_t)sizeof d->piece);
        if (got <= 0) {
            return 0;
        }
        if (skip > 0) {
            skip -= (uint32_t)got;
            continue;
        }
        d->have += (uint32_t)got;
        int err = d->take(d, d->piece, (uint32_t)got);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int connect(whir_fetch_t *d, whir_http_t *http)
{
    int status = http->open(http, d->url, d->have);
    int err = 0;

    if (status == HTTP_OK || status == HTTP_PARTIAL) {
        err = read_body(d, http, status == HTTP_OK ? d->have : 0);
    } else if (status >= 0 && status < HTTP_SERVER_ERROR) {
        err = WHIR_ERR_DOWNLOAD;
    }
    http->close(http);
    return err;
}

int32_t whir_fetch_step(whir_fetch_t *d, whir_http_t *http, uint32_t random)
{
    uint32_t before = d->have;

    d->error = connect(d, http);
    if (d->error < 0 || d->have == d->wanted) {
        return WHIR_FETCH_DONE;
    }
    d->failures = d->have > before ? 1 : d->failures + 1;
    if (d->failures >= WHIR_FETCH_ATTEMPTS) {
        d->error = WHIR_ERR_DOWNLOAD;
        return WHIR_FETCH_DONE;
    }
    return (int32_t)whir_backoff_ms(d->failures, random);
}
