/*
 * Mutates .tflite files at random and gives each mutant to whir_nn: nn_mutate SEED COUNT FILE... A file that ends with its plan
 * goes to the engine that goes by it, and it is the plan that is mutated most.
 * Prints how often each result came, and a digest of all results: two builds of the engine must print the same text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "whir/contract.h"
#include "whir/nn.h"

#define ARENA_MAX (1u << 16)
#define RESULTS 64
#define PLAN_BYTES 2048u /* about */

static uint64_t random_state, seed;
static uint64_t digest = 0xcbf29ce484222325u;
static uint32_t results[RESULTS]; /* by negated code */

static uint32_t draw(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % below;
}

static void mix(const void *data, size_t bytes)
{
    for (const uint8_t *p = data; bytes-- != 0; p++) {
        digest = (digest ^ *p) * 0x100000001b3u;
    }
}

static int is_planned(const uint8_t *file, uint32_t bytes)
{
    return memcmp(file + bytes - 4, "WNP1", 4) == 0;
}

static uint32_t mutate(uint8_t *file, uint32_t bytes)
{
    uint32_t plan = is_planned(file, bytes) && bytes > PLAN_BYTES ? PLAN_BYTES : bytes;
    static const uint32_t WORDS[] = {0, 1, 2, 4, 127, 128, 255, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

    for (uint32_t i = 1 + draw(6); i > 0; i--) {
        uint32_t at = bytes - 1 - draw(draw(8) == 0 ? bytes : plan);

        switch (draw(4)) {
        case 0:
            file[at] ^= (uint8_t)(1u << draw(8));
            break;
        case 1:
            file[at] = (uint8_t)draw(256);
            break;
        case 2:
            at &= ~3u;
            if (at + 4 <= bytes) {
                memcpy(file + at, &WORDS[draw(sizeof WORDS / sizeof WORDS[0])], 4);
            }
            break;
        default:
            file[at] = (uint8_t)(file[at] + draw(9) - 4);
        }
    }
    return plan == bytes && draw(16) == 0 ? 1 + draw(bytes) : bytes; /* now and then cut short */
}

static int run(const uint8_t *file, uint32_t bytes, int planned)
{
    int (*load)(whir_nn_t *, const uint8_t *, uint32_t, uint8_t *, uint32_t, whir_model_info_t *) =
        planned ? whir_nn_load_planned : whir_nn_load;
    whir_nn_t nn;
    whir_model_info_t info;
    uint8_t *block, *arena;
    int err = load(&nn, file, bytes, NULL, 0, &info);

    err = err == WHIR_ERR_NN_ARENA ? 0 : err;
    if (err == 0 && info.arena_bytes <= ARENA_MAX) {
        block = malloc(info.arena_bytes + 15); /* the exact size: the sanitizer sees the first byte beyond */
        arena = block + (-(uintptr_t)block & 15);
        err = load(&nn, file, bytes, arena, info.arena_bytes, &info);
        if (err == 0) {
            for (uint32_t i = 0; i < info.input_bytes; i++) {
                whir_nn_input(&nn)[i] = (int8_t)draw(256);
            }
            whir_nn_run(&nn);
            if (!planned) { /* a mutated plan may lay an output over what is still read: any bytes, and no fault */
                mix(whir_nn_output(&nn), info.output_bytes);
            }
        }
        free(block);
    }
    mix(&err, sizeof err);
    mix(&nn.error_at, sizeof nn.error_at);
    return err;
}

static void mutate_file(const char *name, uint32_t count)
{
    FILE *stream = fopen(name, "rb");
    long bytes;
    uint8_t *original;
    int planned;

    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0 || (bytes = ftell(stream)) <= 0) {
        perror(name);
        exit(2);
    }
    rewind(stream);
    original = malloc((size_t)bytes);
    if (fread(original, 1, (size_t)bytes, stream) != (size_t)bytes) {
        perror(name);
        exit(2);
    }
    fclose(stream);
    planned = is_planned(original, (uint32_t)bytes);
    if (run(original, (uint32_t)bytes, planned) != 0) {
        fprintf(stderr, "%s is refused as it is\n", name);
        exit(2);
    }
    while (count-- != 0) {
        uint8_t *scratch = malloc((size_t)bytes), *mutant;
        uint32_t length;

        random_state = (seed + count) * 0x9e3779b97f4a7c15u; /* whatever was drawn before: builds differ in what they run */
        memcpy(scratch, original, (size_t)bytes);
        length = mutate(scratch, (uint32_t)bytes);
        mutant = malloc(length);
        memcpy(mutant, scratch, length);
        free(scratch);
        results[-run(mutant, length, planned) % RESULTS]++;
        free(mutant);
    }
    free(original);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: nn_mutate SEED COUNT FILE...\n");
        return 2;
    }
    seed = strtoull(argv[1], NULL, 10) << 32;
    for (int i = 3; i < argc; i++) {
        mutate_file(argv[i], (uint32_t)strtoul(argv[2], NULL, 10));
    }
    for (int i = 0; i < RESULTS; i++) {
        if (results[i] != 0) {
            printf("%d %u\n", -i, results[i]);
        }
    }
    printf("digest %016llx\n", (unsigned long long)digest);
    return 0;
}
