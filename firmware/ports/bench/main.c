/*
 * Runs one model on a bare target: every vector, every output byte compared here, retired instructions of plan and run
 * counted, the stack painted. One JSON line comes out. With BENCH_EMPTY the engine is left out: the difference of the two
 * images is the engine's flash.
 */
#include <stdint.h>
#include <string.h>

#include "target.h"
#include "whir/nn.h"

#define ARENA_MAX 65536
#define STACK_PAINTED 8192
#define PAINT 0xA5

extern const uint8_t bench_model[], bench_model_end[];
extern const uint8_t bench_input[], bench_input_end[];
extern const uint8_t bench_output[], bench_output_end[];

static void put_text(const char *text)
{
    while (*text != '\0') {
        target_put(*text++);
    }
}

static void put_number(const char *name, uint32_t value)
{
    char digits[11];
    int i = 10;

    digits[10] = '\0';
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_text("\"");
    put_text(name);
    put_text("\": ");
    put_text(digits + i);
}

#ifndef BENCH_EMPTY
static whir_nn_t nn;
static uint8_t arena[ARENA_MAX] __attribute__((aligned(16)));

/* Paints the stack below this frame; noinline, so that the frame measured is the callee's own. */
static __attribute__((noinline)) uint8_t *stack_paint(void)
{
    uint8_t *low = (uint8_t *)__builtin_frame_address(0) - STACK_PAINTED - 256;
    volatile uint8_t *p = low;

    for (uint32_t i = 0; i < STACK_PAINTED; i++) {
        p[i] = PAINT;
    }
    return low;
}

static __attribute__((noinline)) uint32_t stack_used(const uint8_t *low)
{
    uint32_t clean = 0;

    while (clean < STACK_PAINTED && ((const volatile uint8_t *)low)[clean] == PAINT) {
        clean++;
    }
    return STACK_PAINTED + 256 - clean;
}

static int run(void)
{
    whir_model_info_t info;
    uint32_t vectors = 0, different = 0, plan, invoke = 0, stack_plan, stack_run;
    uint8_t *low = stack_paint();
    uint32_t start = target_instructions();
    int err = whir_nn_plan(&nn, bench_model, (uint32_t)(bench_model_end - bench_model), &info);

    if (err == 0) {
        err = whir_nn_bind(&nn, arena, ARENA_MAX);
    }
    plan = target_instructions() - start;
    stack_plan = stack_used(low);
    if (err < 0) {
        put_number("error", (uint32_t)-err);
        return err;
    }
    low = stack_paint();
    for (const uint8_t *in = bench_input, *out = bench_output; in < bench_input_end; in += info.input_bytes) {
        memcpy(whir_nn_input(&nn), in, info.input_bytes);
        start = target_instructions();
        err = whir_nn_run(&nn);
        invoke = target_instructions() - start;
        different += err < 0 || memcmp(whir_nn_output(&nn), out, info.output_bytes) != 0;
        out += info.output_bytes;
        vectors++;
    }
    stack_run = stack_used(low);
    put_number("vectors", vectors);
    put_text(", ");
    put_number("different", different);
    put_text(", ");
    put_number("arena_bytes", info.arena_bytes);
    put_text(", ");
    put_number("input_bytes", info.input_bytes);
    put_text(", ");
    put_number("state_bytes", (uint32_t)sizeof nn);
    put_text(", ");
    put_number("stack_bytes", stack_run > stack_plan ? stack_run : stack_plan);
    put_text(", ");
    put_number("stack_run_bytes", stack_run);
    put_text(", ");
    put_number("instructions_setup", plan);
    put_text(", ");
    put_number("instructions_invoke", invoke);
    return 0;
}
#else
static int run(void)
{
    /* the same use of the library and of the data, without the engine */
    put_number("model_bytes", (uint32_t)(bench_model_end - bench_model));
    put_number("different", (uint32_t)memcmp(bench_input, bench_output, (uint32_t)(bench_output_end - bench_output)));
    memcpy((void *)(uintptr_t)0x80180000u, bench_input, (uint32_t)(bench_input_end - bench_input));
    return 0;
}
#endif

int main(void)
{
    put_text("{");
    run();
    put_text("}\n");
    target_exit();
}
