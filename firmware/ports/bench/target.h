#ifndef WHIR_BENCH_TARGET_H
#define WHIR_BENCH_TARGET_H

#include <stdint.h>

/* What a target offers to the bench: output, the end, and a clock that counts instructions. */
void target_put(char c);
void target_exit(void);
/* A counter of the target's own unit, wrapping at 2^32. */
uint32_t target_clock(void);
/* Instructions retired while the clock moved by `ticks`; 0 where they are counted from outside. */
uint32_t target_instructions(uint32_t ticks);

#endif
