/* whir_nn behind the inference seam: nn_seam FILE prints one line for each promise that does not hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "whir/contract.h"
#include "whir/nn.h"

static int broken;

#define CHECK(promise)                                                                                                         \
    do {                                                                                                                       \
        if (!(promise)) {                                                                                                      \
            printf("line %d: %s\n", __LINE__, #promise);                                                                       \
            broken = 1;                                                                                                        \
        }                                                                                                                      \
    } while (0)

static uint8_t model[1 << 20] __attribute__((aligned(16)));
static uint8_t arenas[2][1 << 16] __attribute__((aligned(16)));

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    whir_nn_t nn[2];
    whir_inference_t engines[2];
    whir_model_info_t info;
    int8_t inputs[2][1024], outputs[2][64], again[64];
    uint32_t bytes;

    if (file == NULL) {
        return 2;
    }
    bytes = (uint32_t)fread(model, 1, sizeof model, file);
    fclose(file);
    for (int e = 0; e < 2; e++) {
        whir_nn_inference(&nn[e], &engines[e]);
        for (int i = 0; i < 1024; i++) {
            inputs[e][i] = (int8_t)(i * (e + 3) * 7);
        }
    }
    CHECK(strcmp(engines[0].name, "whir_nn") == 0 && engines[0].kernel_set == WHIR_KERNEL_SET_WHIR_NN);
    CHECK(engines[0].invoke(&engines[0], inputs[0], outputs[0]) == WHIR_ERR_STATE);

    CHECK(engines[0].load(&engines[0], model, bytes, arenas[0], 0, &info) == WHIR_ERR_NN_ARENA);
    CHECK(info.arena_bytes > info.input_bytes && info.arena_bytes <= sizeof arenas[0]);
    CHECK(engines[0].load(&engines[0], model, bytes, arenas[0], info.arena_bytes - 1, &info) == WHIR_ERR_NN_ARENA);
    CHECK(engines[0].invoke(&engines[0], inputs[0], outputs[0]) == WHIR_ERR_STATE);
    CHECK(engines[0].load(&engines[0], model, bytes, arenas[0] + 4, sizeof arenas[0] - 4, &info) == WHIR_ERR_ARG);

    /* exactly the bytes asked for, and not one more */
    memset(arenas, 0x5a, sizeof arenas);
    CHECK(engines[0].load(&engines[0], model, bytes, arenas[0], info.arena_bytes, &info) == 0);
    CHECK(engines[1].load(&engines[1], model, bytes, arenas[1], info.arena_bytes, &info) == 0);
    for (int e = 0; e < 2; e++) {
        CHECK(engines[e].invoke(&engines[e], inputs[e], outputs[e]) == 0);
        for (uint32_t i = info.arena_bytes; i < sizeof arenas[e]; i++) {
            CHECK(arenas[e][i] == 0x5a);
        }
    }

    /* two engines side by side do not disturb each other */
    CHECK(memcmp(outputs[0], outputs[1], info.output_bytes) != 0);
    CHECK(engines[0].invoke(&engines[0], inputs[0], again) == 0 && memcmp(again, outputs[0], info.output_bytes) == 0);
    CHECK(engines[1].invoke(&engines[1], inputs[1], again) == 0 && memcmp(again, outputs[1], info.output_bytes) == 0);

    /* a model that is refused leaves nothing to run */
    CHECK(engines[0].load(&engines[0], model, bytes / 2, arenas[0], sizeof arenas[0], &info) == WHIR_ERR_NN_SCHEMA);
    CHECK(engines[0].invoke(&engines[0], inputs[0], outputs[0]) == WHIR_ERR_STATE);
    CHECK(whir_nn_bind(&nn[0], arenas[0], sizeof arenas[0]) == WHIR_ERR_ARG);
    memmove(model + 1, model, bytes);
    CHECK(engines[0].load(&engines[0], model + 1, bytes, arenas[0], sizeof arenas[0], &info) == WHIR_ERR_ARG);
    return broken;
}
