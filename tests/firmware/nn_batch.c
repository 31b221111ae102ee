/*
 * Many nets in one image for a bare target: the model file of the bench's data is a run of entries, 16-byte aligned, each
 * {seed, model bytes, vectors, bytes of the entry}, the planned model, then for each vector the input and the output that must
 * come. Prints a line for each net that fails, and one with the number of nets and of bytes compared.
 */
#include <string.h>

#include "bench.h"
#include "target.h"
#include "whir/whir.h"

static uint8_t arena[1 << 20] __attribute__((aligned(16)));

static void put_text(const char *text)
{
    while (*text != '\0') {
        target_put(*text++);
    }
}

static void put_number(uint32_t value)
{
    char digits[11];
    int i = 10;

    digits[10] = '\0';
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_text(digits + i);
    put_text(" ");
}

/* What was compared, or 0 when a byte or the load was wrong. */
static uint32_t try_net(const uint8_t *model, uint32_t model_bytes, uint32_t vectors)
{
    whir_nn_t nn;
    whir_model_info_t info;
    const uint8_t *vector = model + model_bytes;

    for (uint32_t i = 0; i < vectors; i++, vector += info.input_bytes + info.output_bytes) {
        /* in turn from the FlatBuffer, and from the plan at its end */
        if ((i % 2 == 0 ? whir_nn_load : whir_nn_load_planned)(&nn, model, model_bytes, arena, sizeof arena, &info) < 0) {
            return 0;
        }
        memcpy(whir_nn_input(&nn), vector, info.input_bytes);
        if (whir_nn_run(&nn) < 0 || memcmp(whir_nn_output(&nn), vector + info.input_bytes, info.output_bytes) != 0) {
            return 0;
        }
    }
    return vectors * info.output_bytes;
}

int main(void)
{
    uint32_t nets = 0, bytes = 0;

    for (const uint8_t *entry = bench_model; entry < bench_model_end; nets++) {
        uint32_t seed = whir_le32(entry), model_bytes = whir_le32(entry + 4), vectors = whir_le32(entry + 8);
        uint32_t compared = try_net(entry + 16, model_bytes, vectors);

        if (compared == 0) {
            put_text("wrong: seed ");
            put_number(seed);
            put_text("\n");
        }
        bytes += compared;
        entry += whir_le32(entry + 12);
    }
    put_number(nets);
    put_number(bytes);
    put_text("\n");
    target_exit();
    return 0;
}
