#include "credentials.h"

#include <string.h>

#include "whir/base64.h"
#include "whir/certificate.h"

#define CERTIFICATE "certificate"
#define PRIVATE_KEY "private_key"
#define NEXT_KEY "next_key" /* of the certificate to come; beside what is kept, "" when that has come */
#define DER_MAX_BYTES WHIR_BASE64_BYTES(WHIR_SETTINGS_TEXT_BYTES)
#define PEM_LINE_CHARS 64

/* --- the operational certificate --- */

static int read_key(const char *text, uint8_t key[WHIR_KEY_BYTES])
{
    return whir_base64_read(text, key, WHIR_KEY_BYTES) == WHIR_KEY_BYTES ? 0 : WHIR_ERR_STATE;
}

/* The length of a whole certificate for this key, or an error. */
static int read_pair(const char *certificate, const uint8_t key[WHIR_KEY_BYTES], uint8_t *der, uint32_t max)
{
    int bytes = whir_base64_read(certificate, der, max);
    whir_certificate_t found;

    if (bytes < 0 || whir_certificate_read(&found, der, (uint32_t)bytes) < 0 || found.point == NULL ||
        memcmp(found.point, key + 32, WHIR_POINT_BYTES) != 0) {
        return WHIR_ERR_CERTIFICATE;
    }
    return bytes;
}

int whir_settings_identity(const whir_settings_t *s, uint8_t *der, uint32_t max, uint8_t private_key[WHIR_PRIVATE_KEY_BYTES])
{
    uint8_t key[WHIR_KEY_BYTES];
    int bytes;

    if (s->certificate[0] == 0) {
        return 0;
    }
    bytes = read_key(s->private_key, key);
    bytes = bytes < 0 ? bytes : read_pair(s->certificate, key, der, max);
    if (bytes > 0) {
        whir_private_key_write(key, key + 32, private_key);
    }
    return bytes;
}

int whir_settings_next_key(whir_store_t *store, whir_crypto_t *crypto, uint8_t key[WHIR_KEY_BYTES])
{
    char text[WHIR_KEY_CHARS + 1];
    int err;

    /* one that waits is taken again: the answer to an earlier request may still be on its way */
    if (store->get(store, WHIR_STORE_KEPT, NEXT_KEY, text, sizeof text) == 0 && read_key(text, key) == 0) {
        return 0;
    }
    if (crypto->p256_make == NULL) {
        return WHIR_ERR_STATE;
    }
    err = crypto->p256_make(crypto, key, key + 32);
    if (err < 0) {
        return err;
    }
    whir_base64_write(key, WHIR_KEY_BYTES, text);
    return store->put(store, WHIR_STORE_KEPT, NEXT_KEY, text);
}

int whir_settings_certificate(whir_store_t *store, const char *base64)
{
    uint8_t key[WHIR_KEY_BYTES], der[DER_MAX_BYTES];
    char text[WHIR_KEY_CHARS + 1];
    int err = whir_settings_is_there(store, CERTIFICATE, base64);

    if (err != 0) {
        return err < 0 ? err : 0;
    }
    if (store->get(store, WHIR_STORE_KEPT, NEXT_KEY, text, sizeof text) < 0 || read_key(text, key) < 0) {
        return WHIR_ERR_STATE;
    }
    err = read_pair(base64, key, der, sizeof der);
    /* a cut before the stage: the next boot forgets both, and the next key still waits for its certificate */
    err = err < 0 ? err : store->put(store, WHIR_STORE_TRIED, PRIVATE_KEY, text);
    err = err < 0 ? err : store->put(store, WHIR_STORE_TRIED, CERTIFICATE, base64);
    err = err < 0 ? err : store->put(store, WHIR_STORE_TRIED, WHIR_STAGE, WHIR_STAGE_NEW);
    err = err < 0 ? err : store->put(store, WHIR_STORE_KEPT, NEXT_KEY, "");
    return err < 0 ? err : 1;
}

/* --- trust anchors --- */

/* One certificate in pieces; none is whole too. */
static int anchor_is_whole(const char pieces[WHIR_ANCHOR_PIECES][WHIR_SETTINGS_TEXT_BYTES])
{
    uint8_t der[WHIR_ANCHOR_PIECES * DER_MAX_BYTES];
    whir_certificate_t found;
    uint32_t bytes = 0;

    for (int i = 0; i < WHIR_ANCHOR_PIECES; i++) {
        int more = whir_base64_read(pieces[i], der + bytes, (uint32_t)sizeof der - bytes);
        if (more < 0) {
            return 0;
        }
        bytes += (uint32_t)more;
    }
    return bytes == 0 || whir_certificate_read(&found, der, bytes) == 0;
}

int whir_credentials_whole(const whir_settings_t *s)
{
    uint8_t der[DER_MAX_BYTES], key[WHIR_PRIVATE_KEY_BYTES];

    for (int i = 0; i < WHIR_ANCHORS; i++) {
        if (!anchor_is_whole(s->anchors[i])) {
            return 0;
        }
    }
    return whir_settings_identity(s, der, sizeof der, key) >= 0;
}

typedef struct pem {
    char *text;
    uint32_t bytes, max;
} pem_t;

static void put(pem_t *pem, const char *text, uint32_t bytes)
{
    if (bytes < pem->max - pem->bytes) {
        memcpy(pem->text + pem->bytes, text, bytes);
    }
    pem->bytes += bytes < pem->max - pem->bytes ? bytes : pem->max - pem->bytes;
}

static void put_anchor(pem_t *pem, const char pieces[WHIR_ANCHOR_PIECES][WHIR_SETTINGS_TEXT_BYTES])
{
    static const char BEGIN[] = "-----BEGIN CERTIFICATE-----\n", END[] = "-----END CERTIFICATE-----\n";
    uint32_t column = 0;

    put(pem, BEGIN, sizeof BEGIN - 1);
    for (int i = 0; i < WHIR_ANCHOR_PIECES; i++) {
        for (const char *c = pieces[i]; *c != 0; c++) {
            put(pem, c, 1);
            if (++column % PEM_LINE_CHARS == 0) {
                put(pem, "\n", 1);
            }
        }
    }
    if (column % PEM_LINE_CHARS != 0) {
        put(pem, "\n", 1);
    }
    put(pem, END, sizeof END - 1);
}

int whir_settings_anchors(const whir_settings_t *s, char *text, uint32_t max)
{
    pem_t pem = {text, 0, max};

    for (int i = 0; i < WHIR_ANCHORS; i++) {
        if (s->anchors[i][0][0] != 0 && anchor_is_whole(s->anchors[i])) {
            put_anchor(&pem, s->anchors[i]);
        }
    }
    if (pem.bytes >= max) {
        return WHIR_ERR_SPACE;
    }
    text[pem.bytes] = 0;
    return (int)pem.bytes;
}
