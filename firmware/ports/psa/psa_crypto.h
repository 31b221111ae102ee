#ifndef WHIR_PSA_CRYPTO_H
#define WHIR_PSA_CRYPTO_H

#include "whir/port/crypto.h"

/* The crypto seam over PSA Crypto, on any chip that has it and on a computer; there is one. `keys` as the factory writes them:
 * they must stay. 0, or WHIR_ERR_ARG: not of that form, none is trusted; WHIR_ERR_STATE: no PSA. */
int whir_psa_crypto(whir_crypto_t *crypto, const uint8_t *keys, uint32_t bytes);

#endif
