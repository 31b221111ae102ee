#ifndef WHIR_IP4_H
#define WHIR_IP4_H

#include <stdint.h>

/* "10.0.0.5", or with the bits of its network "10.0.0.5/24", most significant byte first; without them *mask is 0. 0, or
 * WHIR_ERR_ARG. */
int whir_ip4_read(const char *text, uint32_t *address, uint32_t *mask);

#endif
