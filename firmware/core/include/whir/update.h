#ifndef WHIR_UPDATE_H
#define WHIR_UPDATE_H

#include <stdint.h>

#include "whir/bundle.h"
#include "whir/port/inference.h"
#include "whir/slots.h"

/*
 * Update of the model: the idle slot is erased one sector at a time and written as the download comes in, the bundle is
 * verified in place, its golden vectors run, then one commit puts it on trial. It is confirmed by a receipted report, or
 * reverted: by its deadline, by a second boot on trial, or by command. Old or new, never neither.
 */
typedef enum whir_update_phase {
    WHIR_UPDATE_IDLE,
    WHIR_UPDATE_ERASE,
    WHIR_UPDATE_RECEIVE,
    WHIR_UPDATE_VERIFY,
    WHIR_UPDATE_PROVE,  /* verified, not proven yet */
    WHIR_UPDATE_PROVEN, /* may go on trial */
    WHIR_UPDATE_TRIAL,
} whir_update_phase_t;

/* Where a golden vector failed. Vectors are counted through, tensors first, then windows. `byte` counts the output's bytes of a
 * tensor; of a window its feature bytes, then its permille. */
typedef struct whir_golden_mismatch {
    uint32_t vector, byte;
    int32_t got, wanted;
} whir_golden_mismatch_t;

/* Scratch for proving, the caller's: one window, its features, WHIR_FEATURES_SCRATCH_WORDS for the FFT, the input tensor. */
typedef struct whir_golden_scratch {
    int16_t *window;
    int32_t *features;
    int32_t *fft;
    int8_t *input;
    uint32_t window_words, feature_words, input_bytes;
} whir_golden_scratch_t;

/* Runs every golden vector of `bundle` on `engine`, already loaded with its model. How many there are; WHIR_ERR_BUNDLE_GOLDEN
 * with the first that failed in `mismatch`; or another error. */
int whir_golden_prove(const whir_bundle_t *bundle, whir_inference_t *engine, const whir_model_info_t *info,
                      const whir_golden_scratch_t *scratch, whir_golden_mismatch_t *mismatch);

typedef struct whir_update {
    whir_slots_t *slots;
    whir_flash_t *flash;
    whir_crypto_t *crypto;
    const whir_bundle_policy_t *policy; /* its security_counter_min follows slots->state */
    uint32_t slot_base[2];
    uint32_t slot_bytes;
    whir_update_phase_t phase;
    uint8_t target; /* slot being written */
    uint32_t expected, received, erased;
    uint64_t trial_deadline_ms;
    uint8_t tail[WHIR_FLASH_WRITE_SIZE_MAX_BYTES]; /* bytes short of a write unit */
    uint8_t tail_bytes;
    whir_golden_mismatch_t mismatch;
} whir_update_t;

void whir_update_init(whir_update_t *u, whir_slots_t *slots, whir_flash_t *flash, whir_crypto_t *crypto,
                      const whir_bundle_policy_t *policy, const uint32_t slot_base[2], uint32_t slot_bytes);

/*
 * At boot: opens the slot in service. On trial for the second boot, or a slot that does not verify: the other slot is tried
 * and committed. Returns 0 with `bundle` open, 1 with the other slot's bundle after a revert, or the error of the slot in
 * service when no slot works (then the node says no_model). Without a confirmed slot to go back to, a model on trial stays.
 * May commit; may be called again later in the same run.
 */
int whir_update_boot(whir_update_t *u, whir_bundle_t *bundle);

/* The idle slot is given up: from here on there is none to go back to until the new model is confirmed. WHIR_ERR_STATE while
 * on trial, WHIR_ERR_BUSY during an update, WHIR_ERR_SPACE for more than a slot. */
int whir_update_begin(whir_update_t *u, uint32_t bytes);
/* Erases the next sector of the target. 1 = more to do, 0 = ready to receive. One call between two windows. */
int whir_update_erase_step(whir_update_t *u);
/* Bytes of the download in order. 0 or an error (then the phase is idle again). */
int whir_update_write(whir_update_t *u, const uint8_t *data, uint32_t bytes);
/* The download is over: flush, then open and check the bundle in its slot. 0 and `bundle` open, or the reason (then the phase
 * is idle again). */
int whir_update_verify(whir_update_t *u, whir_bundle_t *bundle);
/* whir_golden_prove with what was verified. 0, or WHIR_ERR_BUNDLE_GOLDEN with u->mismatch filled, or another error (then the
 * phase is idle again). */
int whir_update_prove(whir_update_t *u, const whir_bundle_t *bundle, whir_inference_t *engine, const whir_model_info_t *info,
                      const whir_golden_scratch_t *scratch);
/* One commit: the target is in service, on trial; the slot that was in service is kept to go back to. */
int whir_update_trial(whir_update_t *u, const char *action, uint64_t deadline_ms);
/* The report of the trial has been receipted: no older counter is accepted any more. */
int whir_update_confirm(whir_update_t *u, uint32_t security_counter);
/* Back to the previous slot (trial failed, or commanded), verified again first. WHIR_ERR_STATE when there is none that is
 * confirmed, WHIR_ERR_BUNDLE_COUNTER when its counter is below the node's. Then call whir_update_boot for its bundle. */
int whir_update_revert(whir_update_t *u);
/* Gives up an update under way; the model in service stays. */
void whir_update_abort(whir_update_t *u);

#endif
