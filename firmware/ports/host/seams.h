#ifndef WHIR_SEAMS_H
#define WHIR_SEAMS_H

#include "host_crypto.h"
#include "whir/port/crypto.h"

/* The core's view of the objects that Python holds. */
whir_crypto_t *host_crypto_seam(host_crypto_t *crypto);

#endif
