#ifndef WHIR_CSR_H
#define WHIR_CSR_H

#include "whir/port/crypto.h"

#define WHIR_CSR_MAX_BYTES 320
#define WHIR_CSR_NAME_MAX_BYTES 64 /* X.520's limit of a common name */
#define WHIR_PRIVATE_KEY_BYTES 121

/* ECDSA with the request's key over the SHA-256 of the message; r then s, 32 bytes each, big-endian. 0, or a negative code. */
typedef int (*whir_csr_sign_t)(void *signer, const void *message, uint32_t bytes, uint8_t signature[64]);
/* A certificate request (PKCS #10, DER). Its length; WHIR_ERR_ARG for a name that is too long; or the signer's error. */
int whir_csr_write(const uint8_t point[WHIR_POINT_BYTES], const char *common_name, whir_csr_sign_t sign, void *signer,
                   uint8_t der[WHIR_CSR_MAX_BYTES]);
/* A P-256 key as SEC1 has it, DER: what TLS reads. */
void whir_private_key_write(const uint8_t scalar[32], const uint8_t point[WHIR_POINT_BYTES],
                            uint8_t der[WHIR_PRIVATE_KEY_BYTES]);

#endif
