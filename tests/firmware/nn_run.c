/*
 * Runs nets in a build of its own: nn_run FILE..., each a planned model with FILE.in beside it; writes FILE.out. Inputs go in
 * turn to an engine that reads the FlatBuffer and to one that goes by the plan.
 */
#include <stdio.h>
#include <stdlib.h>

#include "whir/nn.h"

static uint8_t model[1 << 20] __attribute__((aligned(16)));
static uint8_t arenas[2][1 << 20] __attribute__((aligned(16)));

static FILE *open_beside(const char *name, const char *suffix, const char *mode)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s%s", name, suffix);
    file = fopen(path, mode);
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *file = open_beside(argv[i], "", "rb"), *in = open_beside(argv[i], ".in", "rb"),
             *out = open_beside(argv[i], ".out", "wb");
        uint32_t bytes = (uint32_t)fread(model, 1, sizeof model, file);
        whir_nn_t engines[2], *nn = engines;
        whir_model_info_t info;
        int err = whir_nn_load(&engines[0], model, bytes, arenas[0], sizeof arenas[0], &info);
        int planned = whir_nn_load_planned(&engines[1], model, bytes, arenas[1], sizeof arenas[1], &info);

        if (err < 0 || planned < 0) {
            fprintf(stderr, "%s: error %d at %u, planned %d\n", argv[i], err, (unsigned)engines[0].error_at, planned);
            return 1;
        }
        while (fread(whir_nn_input(nn), 1, info.input_bytes, in) == info.input_bytes) {
            whir_nn_run(nn);
            fwrite(whir_nn_output(nn), 1, info.output_bytes, out);
            nn = nn == engines ? engines + 1 : engines;
        }
        fclose(file);
        fclose(in);
        fclose(out);
    }
    return 0;
}
