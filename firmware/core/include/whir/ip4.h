#ifndef WHIR_IP4_H
#define WHIR_IP4_H

#include <stdint.h>

/* "10.0.0.5", or with the bits of its network "10.0.0.5/24", most significant byte first; without them *mask is 0. 0, or
 * WHIR_ERR_ARG. */
int whir_ip4_read(const char *text, uint32_t *address, uint32_t *mask);

/* An address of its own, host order; 0: not set. */
typedef struct whir_ip4 {
    uint32_t ip, mask, gateway, dns;
} whir_ip4_t;

/* As an installer sets them; without a name server the gateway is it. 0, or WHIR_ERR_ARG: `ip` is none, DHCP goes on. */
int whir_ip4_settings(const char *ip, const char *gateway, const char *dns, whir_ip4_t *own);

#endif
