#ifndef WHIR_CERTIFICATE_H
#define WHIR_CERTIFICATE_H

#include <stdint.h>

/* What a node needs to know of an X.509 certificate. Whether to trust it is TLS's business. */
typedef struct whir_certificate {
    uint64_t end_s;       /* notAfter, s since 1970 */
    const uint8_t *point; /* of its P-256 key, in `der`; NULL: a key of another kind */
} whir_certificate_t;

/* 0, or WHIR_ERR_CERTIFICATE: `der` is not one whole certificate. */
int whir_certificate_read(whir_certificate_t *certificate, const uint8_t *der, uint32_t bytes);

#endif
