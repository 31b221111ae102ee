/*
 * libFuzzer on verify, plan, bind and run of whir_nn, from FlatBuffers and from plans: whatever the file, an error or an
 * answer; no fault, no read outside the file or the arena, no byte of the file changed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "whir/contract.h"
#include "whir/nn.h"

#define ARENA_MAX 4096u /* larger ones take long and show nothing new */
#define PLAN_MAX (1u << 16)

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define MUST(condition)                                                                                                        \
    if (!(condition)) {                                                                                                        \
        abort();                                                                                                               \
    }

typedef int load_t(whir_nn_t *nn, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                   whir_model_info_t *info);

static uint32_t digest_of(const int8_t *bytes, uint32_t count)
{
    uint32_t digest = 1;

    while (count-- != 0) {
        digest = digest * 31 + (uint8_t)*bytes++;
    }
    return digest;
}

/* Loads and runs; 0, or a digest of the outputs when the file is accepted. */
static uint32_t try(load_t *load, const uint8_t *model, uint32_t model_bytes)
{
    whir_model_info_t info, again;
    uint8_t *block, *arena;
    uint32_t digest = 0;
    whir_nn_t nn;
    int err = load(&nn, model, model_bytes, NULL, 0, &info);

    MUST(err < 0);
    MUST(nn.arena == NULL && nn.records == NULL);
    if (err != WHIR_ERR_NN_ARENA || info.arena_bytes > ARENA_MAX) {
        return 0;
    }
    block = malloc((size_t)info.arena_bytes + 15); /* the exact size: the first byte beyond is seen */
    arena = block + (-(uintptr_t)block & 15);
    memset(block, 0xa5, (size_t)info.arena_bytes + 15);
    MUST(load(&nn, model, model_bytes, arena, info.arena_bytes - 1, &again) == WHIR_ERR_NN_ARENA);
    MUST(load(&nn, model, model_bytes, arena, info.arena_bytes, &again) == 0);
    MUST(memcmp(&info, &again, sizeof again) == 0);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < info.input_bytes; i++) {
            whir_nn_input(&nn)[i] = (int8_t)(round == 0 ? i * 37 : i & 1 ? 127 : -128);
        }
        MUST(whir_nn_run(&nn) == 0);
        digest += digest_of(whir_nn_output(&nn), info.output_bytes);
    }
    free(block);
    return digest | 1;
}

/* What the engine accepts it can plan, and the plan gives the same bytes. */
static void plan(const uint8_t *model, uint32_t model_bytes, uint32_t digest)
{
    uint32_t at = (model_bytes + 3) & ~3u, error_at;
    uint8_t *file = calloc(1, at + PLAN_MAX);
    int length;

    memcpy(file, model, model_bytes);
    length = whir_nn_write_plan(file, at, file + at, PLAN_MAX, &error_at);
    MUST(length > 0);
    MUST(try(whir_nn_load_planned, file, at + (uint32_t)length) == digest);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *model = malloc(size + 1);
    uint32_t digest;

    memcpy(model, data, size); /* aligned */
    digest = try(whir_nn_load, model, (uint32_t)size);
    if (digest != 0) {
        plan(model, (uint32_t)size, digest);
    }
    try(whir_nn_load_planned, model, (uint32_t)size);
    MUST(memcmp(model, data, size) == 0);
    free(model);
    return 0;
}

/* Offsets bind all parts of a FlatBuffer together, so that most of what changes the length is refused at once: stay in place.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    static const uint32_t WORDS[] = {0,   1,     2,     3,     4,          127,        128,       255,
                                     256, 32767, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff};
    uint32_t random = seed * 2654435761u;
    uint32_t at, word;

    if (size < 8 || random >> 30 == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    at = (random >> 4) % (uint32_t)(size / 4) * 4;
    if (memcmp(data + size - 4, "WNP1", 4) == 0 && seed % 8 != 0) { /* where the plan is */
        at = (uint32_t)(size / 4 - 1 - (random >> 4) % (size / 4 < 128 ? size / 4 : 128)) * 4;
    }
    memcpy(&word, data + at, 4);
    switch (random >> 28 & 3) {
    case 0:
        word = WORDS[random % (sizeof WORDS / sizeof WORDS[0])];
        break;
    case 1:
        word += (random & 31) - 16;
        break;
    case 2:
        word ^= 1u << (random & 31);
        break;
    default: /* another word of the file: an offset or a length that means something elsewhere */
        memcpy(&word, data + random % (size / 4) * 4, 4);
    }
    memcpy(data + at, &word, 4);
    return size;
}
