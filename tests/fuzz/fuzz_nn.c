/*
 * libFuzzer on verify, plan, bind and run of whir_nn: whatever the file, an error or an answer; no fault, no read outside the
 * file or the arena, no byte of the file changed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "whir/contract.h"
#include "whir/nn.h"

#define ARENA_MAX 4096u /* larger ones take long and show nothing new */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define MUST(condition)                                                                                                        \
    if (!(condition)) {                                                                                                        \
        abort();                                                                                                               \
    }

static void run(whir_nn_t *nn, const whir_model_info_t *info)
{
    uint8_t *block = malloc((size_t)info->arena_bytes + 15); /* the exact size: the first byte beyond is seen */
    uint8_t *arena = block + (-(uintptr_t)block & 15);
    whir_model_info_t again;

    memset(block, 0xa5, (size_t)info->arena_bytes + 15);
    MUST(whir_nn_bind(nn, arena, info->arena_bytes - 1) == WHIR_ERR_NN_ARENA);
    MUST(whir_nn_load(nn, nn->model, nn->model_bytes, arena, info->arena_bytes, &again) == 0);
    MUST(memcmp(info, &again, sizeof again) == 0);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < info->input_bytes; i++) {
            whir_nn_input(nn)[i] = (int8_t)(round == 0 ? i * 37 : i & 1 ? 127 : -128);
        }
        MUST(whir_nn_run(nn) == 0);
        for (uint32_t i = 0; i < info->output_bytes; i++) {
            volatile int8_t read = whir_nn_output(nn)[i];

            (void)read;
        }
    }
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *model = malloc(size + 1);
    whir_model_info_t info;
    whir_nn_t nn;
    int err;

    memcpy(model, data, size); /* aligned */
    err = whir_nn_plan(&nn, model, (uint32_t)size, &info);
    MUST(err <= 0);
    MUST(nn.arena == NULL);
    if (err == 0 && info.arena_bytes <= ARENA_MAX) {
        run(&nn, &info);
    }
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
