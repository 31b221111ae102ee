#include "whir/settings.h"

#include <stddef.h>
#include <string.h>

#include "credentials.h"
#include "whir/bytes.h"
#include "whir/contract.h"
#include "whir/ip4.h"

/* What stands in a setting of the link. */
enum { NOT_LINK, PLAIN, IP4, ANCHOR, OWN };
#define TEXT(field) {#field, offsetof(whir_settings_t, field), sizeof((whir_settings_t *)0)->field - 1, 0, 0}
#define LINK(field) {#field, offsetof(whir_settings_t, field), sizeof((whir_settings_t *)0)->field - 1, 0, PLAIN}
#define LINK_IP4(field) {#field, offsetof(whir_settings_t, field), sizeof((whir_settings_t *)0)->field - 1, 0, IP4}
#define ANCHOR_PIECE(key, anchor, piece)                                                                                       \
    {key, offsetof(whir_settings_t, anchors[anchor][piece]), WHIR_SETTINGS_TEXT_BYTES - 1, 0, ANCHOR}
#define IDENTITY(field) {#field, offsetof(whir_settings_t, field), sizeof((whir_settings_t *)0)->field - 1, 0, OWN}
#define NUMBER(field, max) {#field, offsetof(whir_settings_t, field), 0, max, 0}

static const struct setting {
    const char *key;
    size_t at;
    size_t text_max; /* 0: a number */
    uint32_t max;
    int link;
} SETTINGS[] = {
    LINK(wifi_ssid),
    LINK(wifi_password),
    LINK(broker),
    LINK(ntp),
    LINK(wifi_user),
    LINK_IP4(ip),
    LINK_IP4(gateway),
    LINK_IP4(dns),
    ANCHOR_PIECE("ca_1", 0, 0),
    ANCHOR_PIECE("ca_1b", 0, 1),
    ANCHOR_PIECE("ca_1c", 0, 2),
    ANCHOR_PIECE("ca_2", 1, 0),
    ANCHOR_PIECE("ca_2b", 1, 1),
    ANCHOR_PIECE("ca_2c", 1, 2),
    IDENTITY(certificate),
    IDENTITY(private_key),
    TEXT(axes),
    TEXT(up),
    NUMBER(range_mg, 400000),
    NUMBER(address, 127),
    NUMBER(rpm, 100000),
    NUMBER(power, 3),
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

/* Whether it may hold this; a number goes to *number. */
static int check(const struct setting *setting, const char *value, uint32_t *number)
{
    uint8_t ignored[WHIR_BASE64_BYTES(WHIR_SETTINGS_TEXT_BYTES)];
    uint32_t mask;

    if (setting == NULL) {
        return WHIR_ERR_ARG;
    }
    if (setting->text_max == 0) {
        return read_number(value, setting->max, number);
    }
    if (strlen(value) > setting->text_max ||
        (setting->link == IP4 && value[0] != 0 && whir_ip4_read(value, number, &mask) < 0) ||
        (setting->link == ANCHOR && whir_base64_read(value, ignored, sizeof ignored) < 0)) {
        return WHIR_ERR_ARG;
    }
    return 0;
}

int whir_settings_set(whir_settings_t *s, const char *key, const char *value)
{
    const struct setting *setting = setting_named(key);
    uint32_t number;
    int err = check(setting, value, &number);

    if (err < 0) {
        return err;
    }
    if (setting->text_max == 0) {
        memcpy((char *)s + setting->at, &number, sizeof number);
    } else {
        memset((char *)s + setting->at, 0, setting->text_max + 1);
        memcpy((char *)s + setting->at, value, strlen(value));
    }
    return 0;
}

static void read_set(whir_settings_t *s, whir_store_t *store, int set)
{
    char text[WHIR_SETTINGS_TEXT_BYTES];

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
    char text[WHIR_SETTINGS_TEXT_BYTES];
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
    char stage[sizeof WHIR_STAGE_TRIED];

    memset(s, 0, sizeof *s);
    read_set(s, store, WHIR_STORE_KEPT);
    if (store->get(store, WHIR_STORE_TRIED, WHIR_STAGE, stage, sizeof stage) < 0) {
        (void)store->clear(store, WHIR_STORE_TRIED); /* a change that was cut off: not with the next one */
        return WHIR_TRIAL_NONE;
    }
    if (strcmp(stage, WHIR_STAGE_KEPT) == 0) {
        read_set(s, store, WHIR_STORE_TRIED);
        (void)take_over(store);
        return WHIR_TRIAL_KEPT;
    }
    if (strcmp(stage, WHIR_STAGE_NEW) == 0 && store->put(store, WHIR_STORE_TRIED, WHIR_STAGE, WHIR_STAGE_TRIED) == 0) {
        read_set(s, store, WHIR_STORE_TRIED);
        if (whir_credentials_whole(s)) {
            return WHIR_TRIAL_RUNNING;
        }
        memset(s, 0, sizeof *s); /* a piece is missing: nobody would be let in */
        read_set(s, store, WHIR_STORE_KEPT);
    }
    (void)store->clear(store, WHIR_STORE_TRIED); /* it restarted before anything came through */
    return WHIR_TRIAL_REVERTED;
}

int whir_settings_is_there(whir_store_t *store, const char *key, const char *value)
{
    char text[WHIR_SETTINGS_TEXT_BYTES], stage[sizeof WHIR_STAGE_TRIED];
    int on_trial = store->get(store, WHIR_STORE_TRIED, WHIR_STAGE, stage, sizeof stage) == 0;

    if (store->get(store, on_trial ? WHIR_STORE_TRIED : WHIR_STORE_KEPT, key, text, sizeof text) == 0 &&
        strcmp(text, value) == 0) {
        return 1;
    }
    /* what joins a trial that runs would be kept untried */
    return on_trial && strcmp(stage, WHIR_STAGE_NEW) != 0 ? WHIR_ERR_BUSY : 0;
}

int whir_settings_change(whir_store_t *store, const char *key, const char *value)
{
    const struct setting *setting = setting_named(key);
    char broker[sizeof((whir_settings_t *)0)->broker];
    uint32_t number;
    int there, err = check(setting, value, &number);

    if (err < 0 || setting->link == OWN) {
        err = err < 0 || strcmp(key, "certificate") != 0 ? WHIR_ERR_ARG : whir_settings_certificate(store, value);
        return err < 0 ? err : 0;
    }
    if (setting->link == NOT_LINK ||
        (setting->link != ANCHOR && store->get(store, WHIR_STORE_KEPT, "broker", broker, sizeof broker) < 0)) {
        return store->put(store, WHIR_STORE_KEPT, key, value);
    }
    there = whir_settings_is_there(store, key, value);
    if (there != 0) {
        return there < 0 ? there : 0;
    }
    err = store->put(store, WHIR_STORE_TRIED, key, value);
    return err < 0 ? err : store->put(store, WHIR_STORE_TRIED, WHIR_STAGE, WHIR_STAGE_NEW);
}

whir_trial_t whir_settings_judge(whir_store_t *store, uint64_t since_boot_ms, int receipted)
{
    if (!receipted) {
        return since_boot_ms < WHIR_SETTINGS_TRIAL_MS ? WHIR_TRIAL_RUNNING : WHIR_TRIAL_REVERTED;
    }
    if (store->put(store, WHIR_STORE_TRIED, WHIR_STAGE, WHIR_STAGE_KEPT) == 0) {
        (void)take_over(store);
    }
    return WHIR_TRIAL_KEPT;
}

uint32_t whir_settings_sum(whir_store_t *store)
{
    char text[WHIR_SETTINGS_TEXT_BYTES];
    uint32_t sum = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        if (SETTINGS[i].link != OWN && store->get(store, WHIR_STORE_KEPT, SETTINGS[i].key, text, sizeof text) == 0) {
            sum = whir_crc32(sum, SETTINGS[i].key, (uint32_t)strlen(SETTINGS[i].key) + 1);
            sum = whir_crc32(sum, text, (uint32_t)strlen(text) + 1);
        }
    }
    return sum;
}

int whir_settings_forget(whir_store_t *store)
{
    int err = store->clear(store, WHIR_STORE_TRIED);

    return err < 0 ? err : store->clear(store, WHIR_STORE_KEPT);
}
