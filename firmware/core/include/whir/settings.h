#ifndef WHIR_SETTINGS_H
#define WHIR_SETTINGS_H

#include <stdint.h>

#include "whir/base64.h"
#include "whir/contract.h"
#include "whir/csr.h"
#include "whir/port/crypto.h"
#include "whir/port/store.h"

#define WHIR_SETTINGS_TEXT_BYTES (WHIR_MESSAGE_SETTING_VALUE_MAX_BYTES + 1)
#define WHIR_ANCHORS 2 /* of trust: the old one and the new one while the broker's changes */
#define WHIR_ANCHOR_PIECES 3
#define WHIR_KEY_BYTES (32 + WHIR_POINT_BYTES) /* private number, point */
#define WHIR_KEY_CHARS WHIR_BASE64_CHARS(WHIR_KEY_BYTES)

/*
 * What an installer sets on a board, as text by key. How it is kept is the port's; which keys there are and what they may hold
 * is decided here. Those of the link are tried first: a change that no receipt comes through is taken back.
 */
typedef struct whir_settings {
    char wifi_ssid[33], wifi_password[65], broker[128];
    char ntp[64];                      /* time server, where DHCP names none; empty: a public one */
    char wifi_user[64];                /* WPA-Enterprise; with an empty password by the node's certificate (EAP-TLS) */
    char ip[19], gateway[16], dns[16]; /* "10.0.0.5/24"; ip empty: from DHCP */
    char axes[12];                     /* mounting, "+x-z+y" (whir_accel_axes) */
    char up[3];        /* the machine axis that points up, "+z"; checked when the machine is learned, empty: not */
    uint32_t range_mg; /* 0: the smallest */
    uint32_t address;  /* of the sensor on I2C; 0: the board's */
    uint32_t rpm;      /* nominal speed of the machine, 0: not set */
    uint32_t power;    /* WHIR_POWER_MODE_… */
    uint32_t every_s;  /* where it rests: from one measurement to the next */
    /* base64 of DER: trust anchors instead of the factory's, and the operational certificate with its key, which nobody sets */
    char anchors[WHIR_ANCHORS][WHIR_ANCHOR_PIECES][WHIR_SETTINGS_TEXT_BYTES];
    char certificate[WHIR_SETTINGS_TEXT_BYTES], private_key[WHIR_KEY_CHARS + 1];
} whir_settings_t;

/* Keys in order, NULL behind the last. */
const char *whir_settings_key(unsigned index);
/* 1: of the link, to be tried; 0: any other. */
int whir_settings_is_link(const char *key);
/* 1 to 3 for "+x" to "+z", negative for "-x" to "-z"; 0 for anything else. */
int8_t whir_settings_axis(const char *text);
/* 0, or WHIR_ERR_ARG: no such key, too long, not a number, too large. Nothing is changed then. */
int whir_settings_set(whir_settings_t *s, const char *key, const char *value);

/*
 * Settings of the link are tried when others are there to fall back to. A trial lasts one boot: whatever restarts the board in
 * it takes them back. A cut anywhere leaves the old ones or the new ones.
 */
typedef enum { WHIR_TRIAL_NONE, WHIR_TRIAL_RUNNING, WHIR_TRIAL_KEPT, WHIR_TRIAL_REVERTED } whir_trial_t;
/* What this boot runs with. RUNNING, or what has become of a trial before, or NONE. */
whir_trial_t whir_settings_load(whir_settings_t *s, whir_store_t *store);
/* Stores one value for the next boot. 0, WHIR_ERR_ARG, what whir_settings_certificate answers, or the store's error. */
int whir_settings_change(whir_store_t *store, const char *key, const char *value);
/* While RUNNING: KEPT once the fleet has receipted anything since boot, and they are stored; REVERTED after
 * WHIR_SETTINGS_TRIAL_MS without: restart the board. */
whir_trial_t whir_settings_judge(whir_store_t *store, uint64_t since_boot_ms, int receipted);

/*
 * The operational certificate stands beside the factory's: with a key that the node makes for it and that never leaves it. Both
 * are tried and kept together, as settings of the link.
 */
/* The key of the certificate to come, made and stored when there is none. 0, WHIR_ERR_STATE: this port makes no keys; or an
 * error of store or crypto. */
int whir_settings_next_key(whir_store_t *store, whir_crypto_t *crypto, uint8_t key[WHIR_KEY_BYTES]);
/* The certificate for that key. 1: to be tried from the next boot on; 0: it is there already; WHIR_ERR_STATE: none was asked
 * for; WHIR_ERR_CERTIFICATE. */
int whir_settings_certificate(whir_store_t *store, const char *base64);
/* The operational certificate (DER) and its key as TLS reads it. The certificate's length, 0: there is none. */
int whir_settings_identity(const whir_settings_t *s, uint8_t *der, uint32_t max, uint8_t key[WHIR_PRIVATE_KEY_BYTES]);
/* The trust anchors as PEM, terminated. Its length, 0: those of the factory hold; WHIR_ERR_SPACE. */
#define WHIR_ANCHORS_PEM_MAX_BYTES (WHIR_ANCHORS * 2440 + 1)
int whir_settings_anchors(const whir_settings_t *s, char *pem, uint32_t max);

/* CRC-32 of what is kept, key by key, but for the certificate and its key: boards with the same settings have the same. */
uint32_t whir_settings_sum(whir_store_t *store);
/* All of them. */
int whir_settings_forget(whir_store_t *store);

#endif
