#include "whir/settings.h"

#include <stddef.h>
#include <string.h>

#include "whir/contract.h"
#include "whir/ip4.h"

#define IP4 2
#define TEXT(field) {#field, offsetof(whir_settings_t, field), sizeof((whir_settings_t *)0)->field - 1, 0, 0}
#define LINK(field) {#field, offsetof(whir_settings_t, field), sizeof((whir_settings_t *)0)->field - 1, 0, 1}
#define LINK_IP4(field) {#field, offsetof(whir_settings_t, field), sizeof((whir_settings_t *)0)->field - 1, 0, IP4}
#define NUMBER(field, max) {#field, offsetof(whir_settings_t, field), 0, max, 0}

static const struct setting {
    const char *key;
    size_t at;
    size_t text_max; /* 0: a number */
    uint32_t max;
    int link; /* or IP4: of the link, and an address */
} SETTINGS[] = {
    LINK(wifi_ssid),
    LINK(wifi_password),
    LINK(broker),
    LINK(ntp),
    LINK(wifi_user),
    LINK_IP4(ip),
    LINK_IP4(gateway),
    LINK_IP4(dns),
    TEXT(axes),
    TEXT(up),
    NUMBER(range_mg, 400000),
    NUMBER(address, 127),
    NUMBER(rpm, 100000),
    NUMBER(power, 2),
    NUMBER(every_s, 86400),
};

#define COUNT (sizeof SETTINGS / sizeof SETTINGS[0])

static const struct setting *setting_named(const char *key)
{
    for (unsigned i = 0; i < COUNT; i++) {
        if (strcmp(SETTINGS[i].key, key) == 0) {
            return &SETTINGS[i];
        }
    }
    return NULL;
}

const char *whir_settings_key(unsigned index)
{
    return index < COUNT ? SETTINGS[index].key : NULL;
}

int whir_settings_is_link(const char *key)
{
    const struct setting *setting = setting_named(key);

    return setting != NULL && setting->link != 0;
}

int8_t whir_settings_axis(const char *text)
{
    int8_t axis = (int8_t)((text[0] == '+' || text[0] == '-') && text[1] >= 'x' && text[1] <= 'z' ? text[1] - 'x' + 1 : 0);

    return text[0] == '-' ? (int8_t)-axis : axis;
}

/* Decimal, or hexadecimal behind 0x. */
static int read_number(const char *text, uint32_t max, uint32_t *out)
{
    uint32_t base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
    uint64_t value = 0;

    text += base == 16 ? 2 : 0;
    if (*text == 0) {
        return WHIR_ERR_ARG;
    }
    for (; *text != 0; text++) {
        uint32_t digit = *text >= '0' && *text <= '9'   ? (uint32_t)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (uint32_t)(*text - 'a' + 10)
                                                        : 99;
        value = value * base + digit;
        if (digit >= base || value > max) {
            return WHIR_ERR_ARG;
        }
    }
    *out = (uint32_t)value;
    return 0;
}

int whir_settings_set(whir_settings_t *s, const char *key, const char *value)
{
    const struct setting *setting = setting_named(key);
    uint32_t number, mask;

    if (setting == NULL) {
        return WHIR_ERR_ARG;
    }
    if (setting->text_max == 0) {
        if (read_number(value, setting->max, &number) < 0) {
            return WHIR_ERR_ARG;
        }
        memcpy((char *)s + setting->at, &number, sizeof number);
        return 0;
    }
    if (strlen(value) > setting->text_max ||
        (setting->link == IP4 && value[0] != 0 && whir_ip4_read(value, &number, &mask) < 0)) {
        return WHIR_ERR_ARG;
    }
    memset((char *)s + setting->at, 0, setting->text_max + 1);
    memcpy((char *)s + setting->at, value, strlen(value));
    return 0;
}

/* How far a trial has come stands beside what is tried. */
#define STAGE "trial"
#define STAGE_NEW "new"     /* set, not run yet */
#define STAGE_TRIED "tried" /* a boot has begun to run with them */
#define STAGE_KEPT "kept"   /* to be taken over, then forgotten */

static void read_set(whir_settings_t *s, whir_store_t *store, int set)
{
    char text[sizeof s->broker];

    for (unsigned i = 0; i < COUNT; i++) {
        if (store->get(store, set, SETTINGS[i].key, text, sizeof text) == 0) {
            (void)whir_settings_set(s, SETTINGS[i].key,
                                    text); /* what an older application took and this one does not: as if not set */
        }
    }
}

/* After a cut in it the stage says so, and the next boot does it again. */
static int take_over(whir_store_t *store)
{
    char text[sizeof((whir_settings_t *)0)->broker];
    int err = 0;

    for (unsigned i = 0; i < COUNT && err == 0; i++) {
        if (store->get(store, WHIR_STORE_TRIED, SETTINGS[i].key, text, sizeof text) == 0) {
            err = store->put(store, WHIR_STORE_KEPT, SETTINGS[i].key, text);
        }
    }
    return err < 0 ? err : store->clear(store, WHIR_STORE_TRIED);
}

whir_trial_t whir_settings_load(whir_settings_t *s, whir_store_t *store)
{
    char stage[sizeof STAGE_TRIED];

    memset(s, 0, sizeof *s);
    read_set(s, store, WHIR_STORE_KEPT);
    if (store->get(store, WHIR_STORE_TRIED, STAGE, stage, sizeof stage) < 0) {
        return WHIR_TRIAL_NONE;
    }
    if (strcmp(stage, STAGE_KEPT) == 0) {
        read_set(s, store, WHIR_STORE_TRIED);
        (void)take_over(store);
        return WHIR_TRIAL_KEPT;
    }
    if (strcmp(stage, STAGE_NEW) == 0 && store->put(store, WHIR_STORE_TRIED, STAGE, STAGE_TRIED) == 0) {
        read_set(s, store, WHIR_STORE_TRIED);
        return WHIR_TRIAL_RUNNING;
    }
    (void)store->clear(store, WHIR_STORE_TRIED); /* it restarted before anything came through */
    return WHIR_TRIAL_REVERTED;
}

int whir_settings_change(whir_store_t *store, const char *key, const char *value)
{
    whir_settings_t s = {0};
    char broker[sizeof s.broker];
    int err = whir_settings_set(&s, key, value);

    if (err < 0) {
        return err;
    }
    if (!whir_settings_is_link(key) || store->get(store, WHIR_STORE_KEPT, "broker", broker, sizeof broker) < 0) {
        return store->put(store, WHIR_STORE_KEPT, key, value);
    }
    err = store->put(store, WHIR_STORE_TRIED, key, value);
    return err < 0 ? err : store->put(store, WHIR_STORE_TRIED, STAGE, STAGE_NEW);
}

whir_trial_t whir_settings_judge(whir_store_t *store, uint64_t since_boot_ms, int receipted)
{
    if (!receipted) {
        return since_boot_ms < WHIR_SETTINGS_TRIAL_MS ? WHIR_TRIAL_RUNNING : WHIR_TRIAL_REVERTED;
    }
    if (store->put(store, WHIR_STORE_TRIED, STAGE, STAGE_KEPT) == 0) {
        (void)take_over(store);
    }
    return WHIR_TRIAL_KEPT;
}

int whir_settings_forget(whir_store_t *store)
{
    int err = store->clear(store, WHIR_STORE_TRIED);

    return err < 0 ? err : store->clear(store, WHIR_STORE_KEPT);
}
