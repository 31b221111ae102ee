#include "whir/ip4.h"

#include "whir/contract.h"

#define PARTS 4

/* One to three digits up to `max`; the text behind them, or NULL. */
static const char *part_read(const char *text, uint32_t max, uint32_t *value)
{
    int digits = 0;

    *value = 0;
    while (*text >= '0' && *text <= '9' && digits < 3) {
        *value = *value * 10 + (uint32_t)(*text++ - '0');
        digits++;
    }
    return digits == 0 || *value > max ? (const char *)0 : text;
}

int whir_ip4_read(const char *text, uint32_t *address, uint32_t *mask)
{
    uint32_t part, bits;

    *address = 0;
    *mask = 0;
    for (int i = 0; i < PARTS; i++) {
        if (i > 0 && *text++ != '.') {
            return WHIR_ERR_ARG;
        }
        text = part_read(text, 255, &part);
        if (text == 0) {
            return WHIR_ERR_ARG;
        }
        *address = *address << 8 | part;
    }
    if (*text == '/') {
        text = part_read(text + 1, 31, &bits);
        if (text == 0 || bits == 0) {
            return WHIR_ERR_ARG;
        }
        *mask = 0xFFFFFFFFu << (32 - bits);
    }
    return *text == 0 ? 0 : WHIR_ERR_ARG;
}

int whir_ip4_settings(const char *ip, const char *gateway, const char *dns, whir_ip4_t *own)
{
    uint32_t none;

    if (whir_ip4_read(ip, &own->ip, &own->mask) < 0) {
        return WHIR_ERR_ARG;
    }
    if (whir_ip4_read(gateway, &own->gateway, &none) < 0) {
        own->gateway = 0;
    }
    if (whir_ip4_read(dns, &own->dns, &none) < 0) {
        own->dns = own->gateway;
    }
    return 0;
}
