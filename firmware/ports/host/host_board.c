#include "host_board.h"

#include <string.h>

#include "seams.h"
#include "whir/alarm.h"
#include "whir/backoff.h"
#include "whir/base64.h"
#include "whir/certificate.h"
#include "whir/settings.h"

uint32_t host_backoff_ms(uint32_t attempts, uint32_t random)
{
    return whir_backoff_ms(attempts, random);
}

static whir_alarm_t alarm_of_the_board;

void host_alarm_set(uint8_t severity)
{
    whir_alarm_set(&alarm_of_the_board, severity);
}

void host_alarm_show(uint32_t seconds)
{
    whir_alarm_show(&alarm_of_the_board, seconds);
}

uint8_t host_alarm_tick(int button)
{
    return whir_alarm_tick(&alarm_of_the_board, button);
}

int host_settings_set(const char *key, const char *value, char *text, uint32_t *number)
{
    whir_settings_t s = {.axes = "+x+y+z", .range_mg = 7};
    int err = whir_settings_set(&s, key, value);

    memcpy(text, s.wifi_ssid, sizeof s.wifi_ssid);
    *number = s.range_mg;
    return err;
}

int host_ip4_settings(const char *ip, const char *gateway, const char *dns, uint32_t *own)
{
    whir_ip4_t found = {0, 0, 0, 0};
    int err = whir_ip4_settings(ip, gateway, dns, &found);

    memcpy(own, &found, sizeof found);
    return err;
}

int host_ip4_read(const char *text, uint32_t *address, uint32_t *mask)
{
    return whir_ip4_read(text, address, mask);
}

int host_settings_axis(const char *text)
{
    return whir_settings_axis(text);
}

const char *host_settings_key(unsigned index)
{
    return whir_settings_key(index);
}

int host_settings_is_link(const char *key)
{
    return whir_settings_is_link(key);
}

int host_base64_read(const char *text, uint8_t *data, uint32_t max)
{
    return whir_base64_read(text, data, max);
}

int host_certificate_read(const uint8_t *der, uint32_t bytes, uint64_t *end_s, uint8_t *point)
{
    whir_certificate_t found = {0, NULL};
    int err = whir_certificate_read(&found, der, bytes);

    *end_s = found.end_s;
    if (err == 0 && found.point != NULL) {
        memcpy(point, found.point, WHIR_POINT_BYTES);
    }
    return err;
}

static int store_get(whir_store_t *store, int set, const char *key, char *text, uint32_t max)
{
    return ((const host_store_t *)store->ctx)->get(set, key, text, max);
}

static int store_put(whir_store_t *store, int set, const char *key, const char *text)
{
    return ((const host_store_t *)store->ctx)->put(set, key, text);
}

static int store_clear(whir_store_t *store, int set)
{
    return ((const host_store_t *)store->ctx)->clear(set);
}

whir_store_t host_store_seam(const struct host_store *calls)
{
    whir_store_t store = {(void *)calls, store_get, store_put, store_clear};

    return store;
}

int host_settings_load(const host_store_t *calls, char *wifi_ssid, char *broker)
{
    whir_store_t store = host_store_seam(calls);
    whir_settings_t s;
    int trial = (int)whir_settings_load(&s, &store);

    memcpy(wifi_ssid, s.wifi_ssid, sizeof s.wifi_ssid);
    memcpy(broker, s.broker, sizeof s.broker);
    return trial;
}

int host_settings_change(const host_store_t *calls, const char *key, const char *value)
{
    whir_store_t store = host_store_seam(calls);

    return whir_settings_change(&store, key, value);
}

int host_settings_judge(const host_store_t *calls, uint64_t since_boot_ms, int receipted)
{
    whir_store_t store = host_store_seam(calls);

    return (int)whir_settings_judge(&store, since_boot_ms, receipted);
}

int host_settings_forget(const host_store_t *calls)
{
    whir_store_t store = host_store_seam(calls);

    return whir_settings_forget(&store);
}
