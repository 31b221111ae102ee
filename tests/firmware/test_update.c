/*
 * Old or new, never neither: the power goes at every operation of a whole update, and again at every operation of the recovery.
 * After each cut the node boots with the old model or the new one, verified, and its state says which.
 */
#include <string.h>

#include "check.h"
#include "fork_flash.h"
#include "make_bundle.h"
#include "mbed_crypto.h"
#include "whir/features.h"
#include "whir/update.h"

#define SECTOR 4096u
#define STATE_BASE 0u
#define SLOT_A (2 * SECTOR)
#define SLOT_BYTES_MAX 262144u
#define CHUNK 1000u /* of the download: not a multiple of any write size */
#define RETRY_EVERY 5u
#define OLD "1"
#define NEW "2"

/* Where the update stands when the power goes: what may then be found. */
typedef enum { STAGE_BEFORE, STAGE_TRIAL_COMMIT, STAGE_TRIAL, STAGE_CONFIRM_COMMIT, STAGE_CONFIRMED } stage_t;

typedef struct {
    stage_t stage;
    uint32_t old_bytes, new_bytes;
    uint32_t slot_bytes;
    uint64_t verified; /* boots with a model */
    uint64_t recoveries, retries;
} story_t;

static uint8_t old_bundle[SLOT_BYTES_MAX], new_bundle[SLOT_BYTES_MAX];
static const whir_bundle_policy_t POLICY = {"esp32", 0, WHIR_KERNEL_SET_WHIR_NN};

/* What a node has in RAM. */
typedef struct {
    whir_slots_t slots;
    whir_update_t update;
    whir_bundle_t bundle;
} ram_t;

/* Mounts, counts the boot, boots the model: what whir_node_init does with it. */
static int node_boot(ram_t *ram, whir_flash_t *flash, uint32_t slot_bytes)
{
    const uint32_t bases[2] = {SLOT_A, SLOT_A + slot_bytes};

    memset(ram, 0x55, sizeof *ram);
    CHECK_EQUAL(whir_slots_mount(&ram->slots, flash, STATE_BASE), 0);
    ram->slots.state.boot++;
    CHECK_EQUAL(whir_slots_commit(&ram->slots), 0);
    whir_update_init(&ram->update, &ram->slots, flash, mbed_crypto(), &POLICY, bases, slot_bytes);
    return whir_update_boot(&ram->update, &ram->bundle);
}

static int download(ram_t *ram, const uint8_t *bundle, uint32_t bytes)
{
    int err = whir_update_begin(&ram->update, bytes);

    if (err < 0) {
        return err;
    }
    while ((err = whir_update_erase_step(&ram->update)) == 1) {
    }
    for (uint32_t done = 0; err == 0 && done < bytes; done += CHUNK) {
        err = whir_update_write(&ram->update, bundle + done, bytes - done < CHUNK ? bytes - done : CHUNK);
    }
    return err;
}

static int prove(ram_t *ram, const whir_bundle_t *bundle)
{
    static int16_t window[WHIR_WINDOW_SAMPLES_MAX];
    static int32_t features[64], fft[WHIR_FEATURES_SCRATCH_WORDS];
    static int8_t input[64];
    const whir_golden_scratch_t scratch = {window, features, fft, input, WHIR_WINDOW_SAMPLES_MAX, 64, 64};
    whir_inference_t *engine = make_bundle_engine();
    whir_model_info_t info;
    int err = engine->load(engine, bundle->model.data, bundle->model.bytes, NULL, 0, &info);

    return err < 0 ? err : whir_update_prove(&ram->update, bundle, engine, &info, &scratch);
}

/* Download, check, prove, trial. */
static int install(ram_t *ram, const uint8_t *bundle, uint32_t bytes, story_t *story)
{
    whir_bundle_t candidate;
    int err = download(ram, bundle, bytes);

    err = err < 0 ? err : whir_update_verify(&ram->update, &candidate);
    err = err < 0 ? err : prove(ram, &candidate);
    if (story != NULL) {
        story->stage = STAGE_TRIAL_COMMIT;
    }
    return err < 0 ? err : whir_update_trial(&ram->update, "rollout-1", 60000);
}

static void old_installed(fork_flash_t *top, const story_t *story)
{
    ram_t ram;

    CHECK_EQUAL(node_boot(&ram, &top->sim.seam, story->slot_bytes), WHIR_ERR_STATE);
    CHECK_EQUAL(install(&ram, old_bundle, story->old_bytes, NULL), 0);
    CHECK_EQUAL(whir_update_confirm(&ram.update, 1), 0);
}

static int slot_holds(const ram_t *ram, uint8_t slot, const uint8_t *bundle, uint32_t bytes)
{
    whir_flash_t *flash = ram->update.flash;

    return slot < 2 && memcmp(flash->map(flash, ram->update.slot_base[slot], bytes), bundle, bytes) == 0;
}

/* The node has booted after a cut: it has the old model or the new one, and the state agrees with what is in the slots. */
static void old_or_new(const ram_t *ram, int result, story_t *story)
{
    const whir_slots_state_t *state = &ram->slots.state;
    int is_new = strcmp(ram->bundle.model_version, NEW) == 0;

    CHECK(result == 0 || result == 1);
    CHECK(is_new || strcmp(ram->bundle.model_version, OLD) == 0);
    CHECK(slot_holds(ram, state->active, is_new ? new_bundle : old_bundle, is_new ? story->new_bytes : story->old_bytes));
    if (state->trial) { /* the way back is always there */
        CHECK(is_new);
        CHECK(slot_holds(ram, state->previous, old_bundle, story->old_bytes));
        CHECK_EQUAL(strcmp(state->action, "rollout-1"), 0);
    }
    switch (story->stage) {
    case STAGE_BEFORE:
        CHECK(!is_new && !state->trial && result == 0);
        break;
    case STAGE_TRIAL_COMMIT:
        CHECK(is_new ? state->trial : !state->trial);
        break;
    case STAGE_TRIAL: /* a boot that was counted before the cut uses up the trial */
        CHECK(!is_new || state->trial);
        break;
    case STAGE_CONFIRM_COMMIT:
        CHECK(!is_new || !state->trial);
        break;
    case STAGE_CONFIRMED:
        CHECK(is_new && !state->trial && state->security_counter == 2);
        break;
    }
    CHECK_EQUAL(state->security_counter, is_new && !state->trial ? 2 : 1);
    story->verified++;
}

/* After a cut: boots, and boots once more; cut again in both while there is a flash below. Now and then it takes the update. */
static void recover(fork_flash_t *flash, void *context)
{
    story_t *story = context;
    fork_flash_t *below = flash->below;
    ram_t ram;

    flash->context = story;
    flash->after_cut = recover;
    flash->seeds = 2;
    old_or_new(&ram, node_boot(&ram, &flash->seam, story->slot_bytes), story);
    old_or_new(&ram, node_boot(&ram, &flash->seam, story->slot_bytes), story);
    if (below != NULL && story->recoveries++ % RETRY_EVERY == 0 && !ram.slots.state.trial && ram.slots.state.active == 0) {
        story_t retry = *story;

        flash->below = NULL;
        CHECK_EQUAL(install(&ram, new_bundle, story->new_bytes, &retry), 0);
        CHECK_EQUAL(whir_update_confirm(&ram.update, 2), 0);
        flash->below = below;
        story->retries++;
    }
}

/* One whole update, cut at every operation; `depth` 3 cuts every recovery once more. */
static void cut_everywhere(uint32_t write_size, uint32_t slot_bytes, uint32_t model_bytes, uint32_t depth, uint32_t seeds)
{
    const bundle_wish_t old_wish = {.version = OLD, .counter = 1, .model_bytes = model_bytes, .tensors = 8};
    const bundle_wish_t new_wish = {.version = NEW, .counter = 2, .model_bytes = model_bytes, .tensors = 8};
    story_t story = {.slot_bytes = slot_bytes};
    fork_flash_t flash[3];
    ram_t ram;

    story.old_bytes = make_bundle(&old_wish, old_bundle, slot_bytes);
    story.new_bytes = make_bundle(&new_wish, new_bundle, slot_bytes);
    fork_flash_make(flash, depth, SLOT_A + 2 * slot_bytes, SECTOR, write_size);
    old_installed(&flash[0], &story);
    flash[0].after_cut = recover;
    flash[0].context = &story;
    flash[0].seeds = seeds;

    CHECK_EQUAL(node_boot(&ram, &flash[0].seam, slot_bytes), 0);
    CHECK_EQUAL(install(&ram, new_bundle, story.new_bytes, &story), 0);
    story.stage = STAGE_TRIAL;
    CHECK_EQUAL(node_boot(&ram, &flash[0].seam, slot_bytes), 0);
    CHECK(ram.slots.state.trial);
    story.stage = STAGE_CONFIRM_COMMIT;
    CHECK_EQUAL(whir_update_confirm(&ram.update, ram.bundle.security_counter), 0);
    story.stage = STAGE_CONFIRMED;
    CHECK_EQUAL(node_boot(&ram, &flash[0].seam, slot_bytes), 0);

    printf("    write size %2u: update of %u bytes, cut at each of %llu operations %u ways, and at each operation of the "
           "recovery: "
           "%llu cuts, %llu boots with a verified model, %llu updates taken afterwards\n",
           write_size, story.new_bytes, (unsigned long long)flash[0].operations, seeds,
           (unsigned long long)(flash[0].cuts + (depth > 2 ? flash[1].cuts : 0)), (unsigned long long)story.verified,
           (unsigned long long)story.retries);
    CHECK(story.retries > 0);
    fork_flash_free(flash, depth);
}

/* As long as the bundle that `whir bundle build` makes of fft32 (14,912 bytes with its evaluation), rounded up. */
#define FFT32_MODEL_BYTES 12800
#define FFT32_SLOT_BYTES (5 * SECTOR)

static void test_power_cut_at_every_operation_of_an_update_leaves_old_or_new(void)
{
    cut_everywhere(1, FFT32_SLOT_BYTES, FFT32_MODEL_BYTES, 3, 16);
    cut_everywhere(16, FFT32_SLOT_BYTES, FFT32_MODEL_BYTES, 3, 16);
    cut_everywhere(32, FFT32_SLOT_BYTES, FFT32_MODEL_BYTES, 3, 16);
}

static void test_power_cut_at_every_operation_of_the_largest_bundle_leaves_old_or_new(void)
{
    uint32_t model_bytes = WHIR_BUNDLE_SLOT_BYTES - 3000;

    cut_everywhere(1, WHIR_BUNDLE_SLOT_BYTES, model_bytes, 3, 2);
    cut_everywhere(16, WHIR_BUNDLE_SLOT_BYTES, model_bytes, 3, 2);
    cut_everywhere(32, WHIR_BUNDLE_SLOT_BYTES, model_bytes, 3, 2);
}

/* A flash without cuts and a node on it that runs the old model. */
static void plain_start(fork_flash_t *flash, ram_t *ram, story_t *story)
{
    const bundle_wish_t old_wish = {.version = OLD, .counter = 1, .model_bytes = 3784, .tensors = 8};

    *story = (story_t){.slot_bytes = 3 * SECTOR};
    story->old_bytes = make_bundle(&old_wish, old_bundle, story->slot_bytes);
    fork_flash_make(flash, 1, SLOT_A + 2 * story->slot_bytes, SECTOR, 16);
    old_installed(flash, story);
    CHECK_EQUAL(node_boot(ram, &flash->seam, story->slot_bytes), 0);
}

static void test_bad_bundles_are_refused_and_the_old_model_stays(void)
{
    static const struct {
        bundle_wish_t wish;
        int error;
    } CASES[] = {
        {{.version = NEW, .counter = 0, .model_bytes = 3784, .tensors = 8}, WHIR_ERR_BUNDLE_COUNTER},
        {{.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8, .foreign_key = 1}, WHIR_ERR_BUNDLE_SIGNATURE},
        {{.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8, .wrong_tensor = 1}, WHIR_ERR_BUNDLE_GOLDEN},
    };
    fork_flash_t flash;
    story_t story;
    ram_t ram;

    plain_start(&flash, &ram, &story);
    for (uint32_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint32_t bytes = make_bundle(&CASES[i].wish, new_bundle, story.slot_bytes);

        CHECK_EQUAL(install(&ram, new_bundle, bytes, NULL), CASES[i].error);
        CHECK_EQUAL(ram.update.phase, WHIR_UPDATE_IDLE);
        CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 0);
        CHECK_EQUAL(strcmp(ram.bundle.model_version, OLD), 0);
    }
    fork_flash_free(&flash, 1);
}

static void test_a_golden_mismatch_names_vector_and_byte(void)
{
    static const struct {
        uint8_t wrong_tensor, wrong_window;
        uint32_t vector, byte;
    } CASES[] = {{1, 0, 7, 1}, {0, 1, 9, 3}, {0, 2, 9, 32}};
    fork_flash_t flash;
    story_t story;
    ram_t ram;

    plain_start(&flash, &ram, &story);
    for (uint32_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const bundle_wish_t wish = {.version = NEW,
                                    .counter = 2,
                                    .model_bytes = 3784,
                                    .tensors = 8,
                                    .wrong_tensor = CASES[i].wrong_tensor,
                                    .wrong_window = CASES[i].wrong_window};
        uint32_t bytes = make_bundle(&wish, new_bundle, story.slot_bytes);

        CHECK_EQUAL(install(&ram, new_bundle, bytes, NULL), WHIR_ERR_BUNDLE_GOLDEN);
        CHECK_EQUAL(ram.update.mismatch.vector, CASES[i].vector);
        CHECK_EQUAL(ram.update.mismatch.byte, CASES[i].byte);
        CHECK_EQUAL(ram.update.mismatch.got ^ 1, ram.update.mismatch.wanted);
    }
    fork_flash_free(&flash, 1);
}

static void test_nothing_goes_on_trial_unproven(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;
    whir_bundle_t candidate;

    plain_start(&flash, &ram, &story);
    CHECK_EQUAL(download(&ram, new_bundle, make_bundle(&wish, new_bundle, story.slot_bytes)), 0);
    CHECK_EQUAL(whir_update_trial(&ram.update, "a", 0), WHIR_ERR_STATE);
    CHECK_EQUAL(whir_update_verify(&ram.update, &candidate), 0);
    CHECK_EQUAL(whir_update_trial(&ram.update, "a", 0), WHIR_ERR_STATE);
    CHECK_EQUAL(prove(&ram, &candidate), 0);
    CHECK_EQUAL(whir_update_trial(&ram.update, "a", 0), 0);
    fork_flash_free(&flash, 1);
}

static void test_a_download_of_the_wrong_length_is_refused(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;
    whir_bundle_t candidate;
    uint32_t bytes;

    plain_start(&flash, &ram, &story);
    bytes = make_bundle(&wish, new_bundle, story.slot_bytes);
    CHECK_EQUAL(download(&ram, new_bundle, bytes - 1), 0);
    CHECK_EQUAL(whir_update_verify(&ram.update, &candidate), WHIR_ERR_BUNDLE_TRUNCATED);
    CHECK_EQUAL(download(&ram, new_bundle, bytes + 1), 0);
    CHECK_EQUAL(whir_update_verify(&ram.update, &candidate), WHIR_ERR_DOWNLOAD);
    CHECK_EQUAL(whir_update_begin(&ram.update, bytes), 0);
    while (whir_update_erase_step(&ram.update) == 1) {
    }
    CHECK_EQUAL(whir_update_write(&ram.update, new_bundle, bytes - 1), 0);
    CHECK_EQUAL(whir_update_write(&ram.update, new_bundle, 2), WHIR_ERR_DOWNLOAD);
    CHECK_EQUAL(whir_update_begin(&ram.update, story.slot_bytes + 1), WHIR_ERR_SPACE);
    fork_flash_free(&flash, 1);
}

static void test_while_on_trial_another_update_is_refused(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;
    uint32_t bytes;

    plain_start(&flash, &ram, &story);
    bytes = make_bundle(&wish, new_bundle, story.slot_bytes);
    CHECK_EQUAL(install(&ram, new_bundle, bytes, NULL), 0);
    CHECK_EQUAL(whir_update_begin(&ram.update, bytes), WHIR_ERR_STATE);
    CHECK(slot_holds(&ram, ram.slots.state.previous, old_bundle, story.old_bytes));
    fork_flash_free(&flash, 1);
}

static void test_the_second_boot_on_trial_goes_back(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;

    plain_start(&flash, &ram, &story);
    CHECK_EQUAL(install(&ram, new_bundle, make_bundle(&wish, new_bundle, story.slot_bytes), NULL), 0);
    CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 0);
    CHECK_EQUAL(strcmp(ram.bundle.model_version, NEW), 0);
    CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 1);
    CHECK_EQUAL(strcmp(ram.bundle.model_version, OLD), 0);
    CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 0);
    CHECK_EQUAL(strcmp(ram.bundle.model_version, OLD), 0);
    fork_flash_free(&flash, 1);
}

static void test_a_slot_in_service_that_no_longer_verifies_gives_way_to_the_confirmed_one(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 1, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;

    plain_start(&flash, &ram, &story);
    CHECK_EQUAL(install(&ram, new_bundle, make_bundle(&wish, new_bundle, story.slot_bytes), NULL), 0);
    CHECK_EQUAL(whir_update_confirm(&ram.update, 1), 0);
    flash.sim.data[ram.update.slot_base[ram.slots.state.active] + 2000] ^= 4; /* a bit has rotted */
    CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 1);
    CHECK_EQUAL(strcmp(ram.bundle.model_version, OLD), 0);
    fork_flash_free(&flash, 1);
}

static void test_rollback_goes_to_the_other_slot_and_back_without_a_download(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 1, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;

    plain_start(&flash, &ram, &story);
    CHECK_EQUAL(whir_update_revert(&ram.update), WHIR_ERR_STATE);
    CHECK_EQUAL(install(&ram, new_bundle, make_bundle(&wish, new_bundle, story.slot_bytes), NULL), 0);
    CHECK_EQUAL(whir_update_confirm(&ram.update, 1), 0);
    CHECK_EQUAL(whir_update_revert(&ram.update), 0);
    CHECK_EQUAL(whir_update_boot(&ram.update, &ram.bundle), 0);
    CHECK_EQUAL(strcmp(ram.bundle.model_version, OLD), 0);
    CHECK_EQUAL(whir_update_revert(&ram.update), 0);
    CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 0);
    CHECK_EQUAL(strcmp(ram.bundle.model_version, NEW), 0);
    fork_flash_free(&flash, 1);
}

static void test_no_way_back_below_the_security_counter(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;

    plain_start(&flash, &ram, &story);
    CHECK_EQUAL(install(&ram, new_bundle, make_bundle(&wish, new_bundle, story.slot_bytes), NULL), 0);
    CHECK_EQUAL(whir_update_confirm(&ram.update, 2), 0);
    CHECK_EQUAL(whir_update_revert(&ram.update), WHIR_ERR_BUNDLE_COUNTER);
    CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 0);
    CHECK_EQUAL(strcmp(ram.bundle.model_version, NEW), 0);
    fork_flash_free(&flash, 1);
}

static void test_an_update_gives_up_the_slot_to_go_back_to_before_it_erases_it(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 1, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;

    plain_start(&flash, &ram, &story);
    CHECK_EQUAL(install(&ram, new_bundle, make_bundle(&wish, new_bundle, story.slot_bytes), NULL), 0);
    CHECK_EQUAL(whir_update_confirm(&ram.update, 1), 0);
    CHECK_EQUAL(ram.slots.state.previous, 0);
    CHECK_EQUAL(whir_update_begin(&ram.update, story.old_bytes), 0);
    CHECK_EQUAL(node_boot(&ram, &flash.seam, story.slot_bytes), 0);
    CHECK_EQUAL(whir_update_revert(&ram.update), WHIR_ERR_STATE);
    fork_flash_free(&flash, 1);
}

static void test_a_commit_that_fails_changes_nothing_in_ram(void)
{
    const bundle_wish_t wish = {.version = NEW, .counter = 2, .model_bytes = 3784, .tensors = 8};
    fork_flash_t flash;
    story_t story;
    ram_t ram;
    whir_bundle_t candidate;

    plain_start(&flash, &ram, &story);
    ram.slots.flash = ram.update.flash = &flash.sim.seam; /* the fork asserts success */
    CHECK_EQUAL(download(&ram, new_bundle, make_bundle(&wish, new_bundle, story.slot_bytes)), 0);
    CHECK_EQUAL(whir_update_verify(&ram.update, &candidate), 0);
    CHECK_EQUAL(prove(&ram, &candidate), 0);
    flash_sim_cut(&flash.sim, 1, 1);
    CHECK_EQUAL(whir_update_trial(&ram.update, "a", 0), WHIR_ERR_FLASH);
    CHECK_EQUAL(ram.slots.state.active, 0);
    CHECK_EQUAL(ram.slots.state.trial, 0);
    CHECK_EQUAL(ram.update.phase, WHIR_UPDATE_IDLE);
    fork_flash_free(&flash, 1);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--long") == 0) {
        RUN(test_power_cut_at_every_operation_of_the_largest_bundle_leaves_old_or_new);
        return 0;
    }
    RUN(test_power_cut_at_every_operation_of_an_update_leaves_old_or_new);
    RUN(test_bad_bundles_are_refused_and_the_old_model_stays);
    RUN(test_a_golden_mismatch_names_vector_and_byte);
    RUN(test_nothing_goes_on_trial_unproven);
    RUN(test_a_download_of_the_wrong_length_is_refused);
    RUN(test_while_on_trial_another_update_is_refused);
    RUN(test_the_second_boot_on_trial_goes_back);
    RUN(test_a_slot_in_service_that_no_longer_verifies_gives_way_to_the_confirmed_one);
    RUN(test_rollback_goes_to_the_other_slot_and_back_without_a_download);
    RUN(test_no_way_back_below_the_security_counter);
    RUN(test_an_update_gives_up_the_slot_to_go_back_to_before_it_erases_it);
    RUN(test_a_commit_that_fails_changes_nothing_in_ram);
    return 0;
}
