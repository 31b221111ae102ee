#ifndef WHIR_HOST_BOARD_H
#define WHIR_HOST_BOARD_H

#include <stdint.h>

/* The small decisions of a board: pauses between connections, patterns of the local alarm, what settings may hold. */
uint32_t host_backoff_ms(uint32_t attempts, uint32_t random);
/* On settings of a board with range_mg 7; gives wifi_ssid (33 bytes) and range_mg as they are afterwards. */
int host_settings_set(const char *key, const char *value, char *text, uint32_t *number);
/* ip, mask, gateway, name server. */
int host_ip4_settings(const char *ip, const char *gateway, const char *dns, uint32_t *own);
int host_ip4_read(const char *text, uint32_t *address, uint32_t *mask);
int host_settings_axis(const char *text);
const char *host_settings_key(unsigned index);
int host_settings_is_link(const char *key);

typedef struct host_store {
    int (*get)(int set, const char *key, char *text, uint32_t max);
    int (*put)(int set, const char *key, const char *text);
    int (*clear)(int set);
} host_store_t;
/* wifi_ssid: 33 bytes, broker: 128. Returns enum whir_trial. */
int host_settings_load(const host_store_t *calls, char *wifi_ssid, char *broker);
int host_settings_change(const host_store_t *calls, const char *key, const char *value);
int host_settings_judge(const host_store_t *calls, uint64_t since_boot_ms, int receipted);
int host_settings_forget(const host_store_t *calls);

int host_base64_read(const char *text, uint8_t *data, uint32_t max);
/* point: 65 bytes, left as they are where the key is of another kind. */
int host_certificate_read(const uint8_t *der, uint32_t bytes, uint64_t *end_s, uint8_t *point);

/* Of one board. */
void host_alarm_set(uint8_t severity);
void host_alarm_show(uint32_t seconds);
uint8_t host_alarm_tick(int button);

#endif
