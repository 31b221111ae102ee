#ifndef WHIR_CREDENTIALS_H
#define WHIR_CREDENTIALS_H

#include "whir/settings.h"

/* How far a trial has come stands beside what is tried. */
#define WHIR_STAGE "trial"
#define WHIR_STAGE_NEW "new"     /* set, not run yet */
#define WHIR_STAGE_TRIED "tried" /* a boot has begun to run with them */
#define WHIR_STAGE_KEPT "kept"   /* to be taken over, then forgotten */

/* 1: this value is kept already, or on trial: it may be sent again; WHIR_ERR_BUSY: a trial runs without it; else 0. */
int whir_settings_is_there(whir_store_t *store, const char *key, const char *value);
/* 1: each trust anchor and the operational certificate is whole, or not there. */
int whir_credentials_whole(const whir_settings_t *s);

#endif
