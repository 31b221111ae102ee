/* The crypto seam and the board's own key over PSA, as on an ESP32, against libmbedcrypto. */
#include <string.h>

#include "check.h"
#include "mbed_crypto.h"
#include "psa_crypto.h"
#include "whir/bytes.h"
#include "whir/contract.h"
#include "whir/factory.h"
#include "whir/own_key.h"

static uint8_t flash[WHIR_PRIVATE_KEY_BYTES];
static int kept, broken;

static int key_read(uint8_t *sec1)
{
    memcpy(sec1, flash, sizeof flash);
    return kept ? 0 : WHIR_ERR_ARG;
}

static int key_write(const uint8_t *sec1)
{
    if (broken) {
        return WHIR_ERR_FLASH;
    }
    memcpy(flash, sec1, sizeof flash);
    kept = 1;
    return 0;
}

static whir_crypto_t crypto;
static const whir_own_key_t OWN = {&crypto, key_read, key_write};
static const char MESSAGE[] = "a request";

static void digest_of(const char *text, uint8_t digest[32])
{
    CHECK_EQUAL(crypto.sha256_init(&crypto), 0);
    CHECK_EQUAL(crypto.sha256_update(&crypto, text, 3), 0);
    CHECK_EQUAL(crypto.sha256_update(&crypto, text + 3, (uint32_t)strlen(text) - 3), 0);
    CHECK_EQUAL(crypto.sha256_final(&crypto, digest), 0);
}

/* A trusted key as the factory writes it. */
static void trust(uint8_t *entry, uint32_t key_id, const uint8_t point[WHIR_POINT_BYTES])
{
    whir_put_le32(entry, key_id);
    memcpy(entry + 4, point, WHIR_POINT_BYTES);
}

static void hashes_are_those_of_mbed_tls(void)
{
    uint8_t got[32], wanted[32];

    CHECK_EQUAL(whir_psa_crypto(&crypto, NULL, 0), 0);
    digest_of(MESSAGE, got);
    mbed_sha256(MESSAGE, sizeof MESSAGE - 1, wanted);
    CHECK(memcmp(got, wanted, sizeof got) == 0);
    CHECK_EQUAL(crypto.sha256_init(&crypto), 0); /* one that was given up does not spoil the next */
    digest_of(MESSAGE, got);
    CHECK(memcmp(got, wanted, sizeof got) == 0);
}

static void a_signature_holds_for_its_key_its_bytes_and_its_message(void)
{
    uint8_t point[WHIR_POINT_BYTES], keys[2 * WHIR_BUNDLE_KEY_BYTES], digest[32], signature[64];

    kept = 0;
    CHECK_EQUAL(whir_own_key_point(&OWN, point), 0);
    CHECK_EQUAL(whir_own_key_sign(&OWN, MESSAGE, sizeof MESSAGE - 1, signature), 0);
    trust(keys, 6, point);
    keys[WHIR_BUNDLE_KEY_BYTES - 1] ^= 1; /* no point of the curve */
    trust(keys + WHIR_BUNDLE_KEY_BYTES, 7, point);
    CHECK_EQUAL(whir_psa_crypto(&crypto, keys, sizeof keys), 0);
    digest_of(MESSAGE, digest);
    CHECK_EQUAL(crypto.p256_verify(&crypto, 7, digest, signature), WHIR_CRYPTO_VALID);
    CHECK_EQUAL(crypto.p256_verify(&crypto, 8, digest, signature), WHIR_CRYPTO_INVALID);
    CHECK_EQUAL(crypto.p256_verify(&crypto, 6, digest, signature), WHIR_CRYPTO_INVALID);
    digest[31] ^= 1;
    CHECK_EQUAL(crypto.p256_verify(&crypto, 7, digest, signature), WHIR_CRYPTO_INVALID);
    digest[31] ^= 1;
    for (int i = 0; i < 64; i += 21) {
        signature[i] ^= 1;
        CHECK_EQUAL(crypto.p256_verify(&crypto, 7, digest, signature), WHIR_CRYPTO_INVALID);
        signature[i] ^= 1;
    }
}

static void keys_of_another_form_are_refused(void)
{
    static const uint8_t keys[(WHIR_BUNDLE_KEYS_MAX + 1) * WHIR_BUNDLE_KEY_BYTES];

    CHECK_EQUAL(whir_psa_crypto(&crypto, keys, WHIR_BUNDLE_KEY_BYTES - 1), WHIR_ERR_ARG);
    CHECK_EQUAL(whir_psa_crypto(&crypto, keys, sizeof keys), WHIR_ERR_ARG);
    CHECK_EQUAL(whir_psa_crypto(&crypto, keys, WHIR_BUNDLE_KEYS_MAX * WHIR_BUNDLE_KEY_BYTES), 0);
}

static void the_own_key_is_made_once_and_kept(void)
{
    uint8_t first[WHIR_POINT_BYTES], again[WHIR_POINT_BYTES];

    kept = 0;
    CHECK_EQUAL(whir_own_key_point(&OWN, first), 0);
    CHECK_EQUAL(whir_own_key_point(&OWN, again), 0);
    CHECK(memcmp(first, again, sizeof first) == 0);
    kept = 0;
    CHECK_EQUAL(whir_own_key_point(&OWN, again), 0);
    CHECK(memcmp(first, again, sizeof first) != 0);
}

static void a_key_that_cannot_be_kept_is_no_key(void)
{
    uint8_t point[WHIR_POINT_BYTES], signature[64];

    kept = 0;
    broken = 1;
    CHECK_EQUAL(whir_own_key_point(&OWN, point), WHIR_ERR_FLASH);
    CHECK_EQUAL(whir_own_key_sign(&OWN, MESSAGE, sizeof MESSAGE, signature), WHIR_ERR_ARG);
    broken = 0;
    CHECK_EQUAL(whir_own_key_point(&OWN, point), 0);
}

int main(void)
{
    RUN(hashes_are_those_of_mbed_tls);
    RUN(a_signature_holds_for_its_key_its_bytes_and_its_message);
    RUN(keys_of_another_form_are_refused);
    RUN(the_own_key_is_made_once_and_kept);
    RUN(a_key_that_cannot_be_kept_is_no_key);
    return 0;
}
