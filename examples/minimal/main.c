/*
 * whir_nn alone, in two files: `make amalgamation` writes build/whir.c and build/whir.h.
 *
 *     xxd -i < build/models/fft32/model.tflite > model.inc
 *     cc -I. -Ibuild examples/minimal/main.c build/whir.c -o minimal
 *
 * Runs one inference on an input of zeros and returns the class that it finds most likely.
 */
#include <string.h>

#include "whir.h"

/* It may lie in flash, and must be 4-byte aligned. */
static const uint8_t MODEL[] __attribute__((aligned(4))) = {
#include "model.inc"
};

static uint8_t arena[4096] __attribute__((aligned(16)));

int main(void)
{
    static whir_nn_t nn;
    whir_model_info_t info;
    int err = whir_nn_load(&nn, MODEL, sizeof MODEL, arena, sizeof arena, &info); /* checks every offset */

    if (err < 0) {
        return -err; /* contracts/errors.toml */
    }
    memset(whir_nn_input(&nn), 0, info.input_bytes);
    whir_nn_run(&nn);
    uint32_t top = 0;
    for (uint32_t c = 1; c < info.output_bytes; c++) {
        if (whir_nn_output(&nn)[c] > whir_nn_output(&nn)[top]) {
            top = c;
        }
    }
    return (int)top;
}
