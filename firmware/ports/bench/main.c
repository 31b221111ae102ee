/*
 * Drives one subject over its vectors on a bare target: every output byte compared here, instructions of set-up and run
 * counted, the stack painted. One JSON line comes out.
 */
#include <stddef.h>

#include "bench.h"
#include "target.h"

#ifdef __AVR__ /* 2 KB in all */
#define STACK_PAINTED 768u
#define STACK_SKIPPED 32u
#else
#define STACK_PAINTED 8192u
#define STACK_SKIPPED 64u /* below the painter's own frame */
#endif
#define PAINT 0xA5

uint32_t bench_ticks[BENCH_PARTS];

static const char *const PARTS[BENCH_PARTS] = {"part_condition", "part_features", "part_infer"};
static const char *separator = "";

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
    put_text(separator);
    put_text("\"");
    put_text(name);
    put_text("\": ");
    put_text(digits + i);
    separator = ", ";
}

/* Paints the stack below this frame; noinline, so that the frame measured is the callee's own. */
static __attribute__((noinline)) uint8_t *stack_paint(void)
{
    uint8_t *low = (uint8_t *)__builtin_frame_address(0) - STACK_PAINTED - STACK_SKIPPED;
    volatile uint8_t *p = low;

    for (uint32_t i = 0; i < STACK_PAINTED; i++) {
        p[i] = PAINT;
    }
    return low;
}

/* Bytes; 0 when all the paint is gone, so that nobody knows how many. */
static __attribute__((noinline)) uint32_t stack_used(const uint8_t *low)
{
    uint32_t clean = 0;

    while (clean < STACK_PAINTED && ((const volatile uint8_t *)low)[clean] == PAINT) {
        clean++;
    }
    return clean == 0 ? 0 : STACK_PAINTED + STACK_SKIPPED - clean;
}

/* Instructions since `start`, but for those of reading the clock. */
static uint32_t since(uint32_t start)
{
    uint32_t end = target_clock();
    uint32_t again = target_clock();

    return target_instructions(end - start - (again - end));
}

static int setup(void)
{
    subject_facts_t facts;
    uint8_t *low = stack_paint();
    uint32_t start = target_clock();
    int err = subject_setup(&facts);
    uint32_t instructions = since(start);

    if (err < 0) {
        put_number("error", (uint32_t)-err);
        return err;
    }
    put_number("stack_setup_bytes", stack_used(low));
    put_number("instructions_setup", instructions);
    put_number("arena_bytes", facts.arena_bytes);
    put_number("input_bytes", facts.input_bytes);
    put_number("state_bytes", facts.state_bytes);
    return 0;
}

static void run(void)
{
    uint32_t vectors = subject_vectors(), different = 0, most = 0, stack = 0;

    for (uint32_t i = 0; i < vectors; i++) {
        uint32_t start, instructions, used;
        uint8_t *low;
        int err;

        subject_feed(i);
        low = stack_paint();
        start = target_clock();
        err = subject_run(i);
        instructions = since(start);
        used = stack_used(low);
        most = instructions > most ? instructions : most;
        stack = used > stack ? used : stack;
        different += err < 0 || !subject_check(i);
    }
    for (uint32_t i = 0; i < BENCH_PARTS; i++) {
        if (bench_ticks[i] != 0) {
            put_number(PARTS[i], target_instructions(bench_ticks[i]));
        }
    }
    put_number("stack_run_bytes", stack);
    put_number("instructions_invoke", most);
    put_number("vectors", vectors);
    put_number("different", different);
}

int main(void)
{
    put_text("{");
    if (setup() == 0) {
        run();
    }
    put_text("}\n");
    target_exit();
    return 0;
}
