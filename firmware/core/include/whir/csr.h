#ifndef WHIR_CSR_H
#define WHIR_CSR_H

#include "whir/port/board.h"

#define WHIR_CSR_MAX_BYTES 320
#define WHIR_CSR_NAME_MAX_BYTES 64 /* X.520's limit of a common name */
#define WHIR_PRIVATE_KEY_BYTES 121

/* A certificate request (PKCS #10, DER) for the board's own key. Its length; WHIR_ERR_ARG for a name that is too long; or the
 * board's error. */
int whir_csr_write(whir_board_t *board, const char *common_name, uint8_t der[WHIR_CSR_MAX_BYTES]);
/* A P-256 key as SEC1 has it, DER: what TLS reads. */
void whir_private_key_write(const uint8_t scalar[32], const uint8_t point[WHIR_POINT_BYTES],
                            uint8_t der[WHIR_PRIVATE_KEY_BYTES]);

#endif
