#include "whir/certificate.h"

#include <stddef.h>
#include <string.h>

#include "der.h"
#include "whir/contract.h"
#include "whir/port/crypto.h"

#define EXPLICIT_0 0xa0
#define UTC_TIME 0x17
#define GENERALIZED_TIME 0x18
#define SECONDS_A_DAY 86400u

typedef struct part {
    const uint8_t *at, *end;
} part_t;

/* The next element, if it has this tag, is gone from `from`, its content in `content`. */
static int take(part_t *from, uint8_t tag, part_t *content)
{
    uint32_t left = (uint32_t)(from->end - from->at), head = 2, bytes;

    if (left < 2 || from->at[0] != tag) {
        return WHIR_ERR_CERTIFICATE;
    }
    bytes = from->at[1];
    if (bytes >= 0x80) { /* 81 and 82: one or two bytes of length follow; a certificate has no more */
        uint32_t more = bytes - 0x80;
        if (more < 1 || more > 2 || left < 2 + more) {
            return WHIR_ERR_CERTIFICATE;
        }
        bytes = more == 1 ? from->at[2] : (uint32_t)from->at[2] << 8 | from->at[3];
        head += more;
    }
    if (bytes > left - head) {
        return WHIR_ERR_CERTIFICATE;
    }
    content->at = from->at + head;
    content->end = content->at + bytes;
    from->at = content->end;
    return 0;
}

static int two_digits(const uint8_t *text, uint32_t *out)
{
    *out = (uint32_t)(text[0] - '0') * 10 + (uint32_t)(text[1] - '0');
    return text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9' ? 0 : WHIR_ERR_CERTIFICATE;
}

/* YYMMDDHHMMSSZ (1950 to 2049), or with four digits of the year. */
static int take_time(part_t *from, uint64_t *unix_s)
{
    static const uint16_t DAYS_BEFORE[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint32_t n[6], century = 0, year, days;
    part_t text;
    int err;

    if (take(from, UTC_TIME, &text) < 0) {
        err = take(from, GENERALIZED_TIME, &text);
        if (err < 0 || text.end - text.at != 15 || two_digits(text.at, &century) < 0) {
            return WHIR_ERR_CERTIFICATE;
        }
        text.at += 2;
    }
    if (text.end - text.at != 13 || text.at[12] != 'Z') {
        return WHIR_ERR_CERTIFICATE;
    }
    for (int i = 0; i < 6; i++) {
        if (two_digits(text.at + 2 * i, &n[i]) < 0) {
            return WHIR_ERR_CERTIFICATE;
        }
    }
    year = n[0] + (century != 0 ? century * 100 : n[0] < 50 ? 2000u : 1900u);
    if (year < 1970 || n[1] < 1 || n[1] > 12 || n[2] < 1) {
        return WHIR_ERR_CERTIFICATE;
    }
    days = (year - 1970) * 365 + (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400;
    days += DAYS_BEFORE[n[1] - 1] + n[2] - 1 + (n[1] > 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    *unix_s = (uint64_t)days * SECONDS_A_DAY + n[3] * 3600u + n[4] * 60u + n[5];
    return 0;
}

int whir_certificate_read(whir_certificate_t *certificate, const uint8_t *der, uint32_t bytes)
{
    part_t all = {der, der + bytes}, whole, signed_part, skipped, validity;
    uint64_t begin_s;

    if (take(&all, WHIR_DER_SEQUENCE, &whole) < 0 || all.at != all.end || take(&whole, WHIR_DER_SEQUENCE, &signed_part) < 0) {
        return WHIR_ERR_CERTIFICATE;
    }
    (void)take(&signed_part, EXPLICIT_0, &skipped);             /* the version, which may be left out */
    if (take(&signed_part, WHIR_DER_INTEGER, &skipped) < 0 ||   /* number */
        take(&signed_part, WHIR_DER_SEQUENCE, &skipped) < 0 ||  /* algorithm */
        take(&signed_part, WHIR_DER_SEQUENCE, &skipped) < 0 ||  /* issuer */
        take(&signed_part, WHIR_DER_SEQUENCE, &validity) < 0 || /* */
        take(&signed_part, WHIR_DER_SEQUENCE, &skipped) < 0 ||  /* subject */
        take_time(&validity, &begin_s) < 0 || take_time(&validity, &certificate->end_s) < 0 ||
        (uint32_t)(signed_part.end - signed_part.at) < WHIR_DER_P256_BYTES + WHIR_POINT_BYTES) {
        return WHIR_ERR_CERTIFICATE;
    }
    certificate->point =
        memcmp(signed_part.at, whir_der_p256, WHIR_DER_P256_BYTES) == 0 ? signed_part.at + WHIR_DER_P256_BYTES : NULL;
    return 0;
}
