#include "whir/update.h"

#include <string.h>

void whir_update_init(whir_update_t *u, whir_slots_t *slots, whir_flash_t *flash, whir_crypto_t *crypto,
                      const whir_bundle_policy_t *policy, const uint32_t slot_base[2], uint32_t slot_bytes)
{
    memset(u, 0, sizeof *u);
    u->slots = slots;
    u->flash = flash;
    u->crypto = crypto;
    u->policy = policy;
    u->slot_base[0] = slot_base[0];
    u->slot_base[1] = slot_base[1];
    u->slot_bytes = slot_bytes;
    u->phase = WHIR_UPDATE_IDLE;
}

/* Commits `next`; in RAM it counts only once it is safe. */
static int state_commit(whir_update_t *u, const whir_slots_state_t *next)
{
    whir_slots_state_t old = u->slots->state;
    int err;

    u->slots->state = *next;
    err = whir_slots_commit(u->slots);
    if (err < 0) {
        u->slots->state = old;
    }
    return err;
}

static int slot_open(const whir_update_t *u, uint8_t slot, uint32_t bytes, whir_bundle_t *bundle)
{
    whir_bundle_policy_t policy = *u->policy;
    const uint8_t *data = u->flash->map(u->flash, u->slot_base[slot], u->slot_bytes);

    if (data == NULL) {
        return WHIR_ERR_FLASH;
    }
    if (policy.security_counter_min < u->slots->state.security_counter) {
        policy.security_counter_min = u->slots->state.security_counter;
    }
    return whir_bundle_open(bundle, data, bytes, u->crypto, &policy);
}

/* Puts the previous slot back in service if it verifies. `keep`: the one that goes out of service is a confirmed one too. */
static int previous_restore(whir_update_t *u, int keep, whir_bundle_t *bundle)
{
    whir_slots_state_t next = u->slots->state;
    int err;

    if (next.previous == WHIR_SLOT_NONE) {
        return WHIR_ERR_STATE;
    }
    err = slot_open(u, next.previous, u->slot_bytes, bundle);
    if (err < 0) {
        return err;
    }
    next.active = u->slots->state.previous;
    next.previous = keep ? u->slots->state.active : WHIR_SLOT_NONE;
    next.trial = 0;
    next.trial_boots = 0;
    err = state_commit(u, &next);
    if (err < 0) {
        return err;
    }
    u->phase = WHIR_UPDATE_IDLE;
    return 0;
}

int whir_update_boot(whir_update_t *u, whir_bundle_t *bundle)
{
    whir_slots_state_t next = u->slots->state;
    int err;

    if (next.active == WHIR_SLOT_NONE) {
        return WHIR_ERR_STATE;
    }
    u->phase = next.trial ? WHIR_UPDATE_TRIAL : WHIR_UPDATE_IDLE;
    if (next.trial && next.trial_boots != 0 && previous_restore(u, 0, bundle) == 0) {
        return 1;
    }
    if (next.trial && next.trial_boots != UINT8_MAX) {
        next.trial_boots++;
        err = state_commit(u, &next); /* before the model runs: if it takes the node down, the next boot goes back */
        if (err < 0) {
            return err;
        }
    }
    err = slot_open(u, next.active, u->slot_bytes, bundle);
    if (err < 0 && previous_restore(u, 0, bundle) == 0) {
        return 1;
    }
    return err;
}

int whir_update_begin(whir_update_t *u, uint32_t bytes)
{
    whir_slots_state_t next = u->slots->state;
    uint8_t target = next.active == 0 ? 1 : 0;

    if (next.trial) {
        return WHIR_ERR_STATE; /* the other slot is the only confirmed one */
    }
    if (u->phase != WHIR_UPDATE_IDLE) {
        return WHIR_ERR_BUSY;
    }
    if (bytes == 0 || bytes > u->slot_bytes) {
        return WHIR_ERR_SPACE;
    }
    if (next.previous == target) {
        int err;

        next.previous = WHIR_SLOT_NONE; /* before its first sector goes: nobody may go back to it any more */
        err = state_commit(u, &next);
        if (err < 0) {
            return err;
        }
    }
    u->target = target;
    u->expected = bytes;
    u->received = 0;
    u->erased = 0;
    u->tail_bytes = 0;
    u->phase = WHIR_UPDATE_ERASE;
    return 0;
}

void whir_update_abort(whir_update_t *u)
{
    u->phase = u->slots->state.trial ? WHIR_UPDATE_TRIAL : WHIR_UPDATE_IDLE;
}

static int failed(whir_update_t *u, int err)
{
    whir_update_abort(u);
    return err;
}

int whir_update_erase_step(whir_update_t *u)
{
    int err;

    if (u->phase != WHIR_UPDATE_ERASE) {
        return WHIR_ERR_STATE;
    }
    err = u->flash->erase(u->flash, u->slot_base[u->target] + u->erased);
    if (err < 0) {
        return failed(u, err);
    }
    u->erased += u->flash->sector_size;
    if (u->erased < u->expected) {
        return 1;
    }
    u->phase = WHIR_UPDATE_RECEIVE;
    return 0;
}

/* Whole units at the end of what is written; returns how many bytes it took, or the error. */
static int units_write(whir_update_t *u, const uint8_t *data, uint32_t bytes)
{
    uint32_t at = u->received - u->tail_bytes;
    uint32_t room = u->flash->sector_size - at % u->flash->sector_size;
    uint32_t now = bytes < room ? bytes : room;
    int err;

    now = now < WHIR_FLASH_WRITE_CALL_MAX_BYTES ? now : WHIR_FLASH_WRITE_CALL_MAX_BYTES;
    now -= now % u->flash->write_size;
    err = u->flash->write(u->flash, u->slot_base[u->target] + at, data, now);
    return err < 0 ? err : (int)now;
}

/* Writes the unit held back; at the end of the download it is filled up with ones. */
static int tail_flush(whir_update_t *u)
{
    int err;

    memset(u->tail + u->tail_bytes, 0xFF, sizeof u->tail - u->tail_bytes);
    err = units_write(u, u->tail, u->flash->write_size);
    u->tail_bytes = 0;
    return err;
}

int whir_update_write(whir_update_t *u, const uint8_t *data, uint32_t bytes)
{
    if (u->phase != WHIR_UPDATE_RECEIVE) {
        return WHIR_ERR_STATE;
    }
    if (bytes > u->expected - u->received) {
        return failed(u, WHIR_ERR_DOWNLOAD);
    }
    while (bytes != 0) {
        uint32_t taken;

        if (u->tail_bytes != 0 || bytes < u->flash->write_size) {
            uint32_t space = u->flash->write_size - u->tail_bytes;
            taken = bytes < space ? bytes : space;
            memcpy(u->tail + u->tail_bytes, data, taken);
            u->tail_bytes = (uint8_t)(u->tail_bytes + taken);
            u->received += taken;
            if (u->tail_bytes == u->flash->write_size) {
                int err = tail_flush(u);
                if (err < 0) {
                    return failed(u, err);
                }
            }
        } else {
            int written = units_write(u, data, bytes);
            if (written < 0) {
                return failed(u, written);
            }
            taken = (uint32_t)written;
            u->received += taken;
        }
        data += taken;
        bytes -= taken;
    }
    return 0;
}

int whir_update_verify(whir_update_t *u, whir_bundle_t *bundle)
{
    int err;

    if (u->phase != WHIR_UPDATE_RECEIVE) {
        return WHIR_ERR_STATE;
    }
    if (u->received != u->expected) {
        return failed(u, WHIR_ERR_DOWNLOAD);
    }
    u->phase = WHIR_UPDATE_VERIFY;
    err = u->tail_bytes != 0 ? tail_flush(u) : 0;
    if (err >= 0) {
        err = slot_open(u, u->target, u->expected, bundle);
    }
    if (err == 0 && bundle->total_bytes != u->expected) {
        err = WHIR_ERR_DOWNLOAD;
    }
    if (err < 0) {
        return failed(u, err);
    }
    u->phase = WHIR_UPDATE_PROVE;
    return 0;
}

int whir_update_trial(whir_update_t *u, const char *action, uint64_t deadline_ms)
{
    whir_slots_state_t next = u->slots->state;
    int err;

    if (u->phase != WHIR_UPDATE_PROVEN) {
        return WHIR_ERR_STATE;
    }
    next.previous = next.active; /* confirmed, or none at all: begin refuses while on trial */
    next.active = u->target;
    next.trial = 1;
    next.trial_boots = 0;
    memset(next.action, 0, sizeof next.action);
    for (uint32_t i = 0; i < sizeof next.action - 1 && action[i] != '\0'; i++) {
        next.action[i] = action[i];
    }
    err = state_commit(u, &next);
    if (err < 0) {
        return failed(u, err);
    }
    u->trial_deadline_ms = deadline_ms;
    u->phase = WHIR_UPDATE_TRIAL;
    return 0;
}

int whir_update_confirm(whir_update_t *u, uint32_t security_counter)
{
    whir_slots_state_t next = u->slots->state;
    int err;

    if (!next.trial) {
        return WHIR_ERR_STATE;
    }
    next.trial = 0;
    next.trial_boots = 0;
    if (next.security_counter < security_counter) {
        next.security_counter = security_counter;
    }
    err = state_commit(u, &next);
    if (err < 0) {
        return err;
    }
    u->phase = WHIR_UPDATE_IDLE;
    return 0;
}

int whir_update_revert(whir_update_t *u)
{
    whir_bundle_t bundle;

    return previous_restore(u, !u->slots->state.trial, &bundle);
}
