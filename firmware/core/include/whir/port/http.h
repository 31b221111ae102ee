#ifndef WHIR_PORT_HTTP_H
#define WHIR_PORT_HTTP_H

#include <stdint.h>

/* HTTPS seam, for one download at a time. All of it may block; called from the task of whir_fetch_step. */
typedef struct whir_http {
    void *ctx;
    /* GET of `url` from its byte `at` on (Range). The status, or a negative code: no connection. */
    int (*open)(struct whir_http *http, const char *url, uint32_t at);
    /* Up to so many bytes of the body. How many; 0 at its end; a negative code when it breaks off. */
    int (*read)(struct whir_http *http, void *buffer, uint32_t bytes_max);
    /* After each open. */
    void (*close)(struct whir_http *http);
} whir_http_t;

#endif
