#ifndef WHIR_BENCH_TARGET_H
#define WHIR_BENCH_TARGET_H

#include <stdint.h>

/* What a target offers to the bench: output, the end, and a count of retired instructions. */
void target_put(char c);
void target_exit(void);
uint32_t target_instructions(void);

#endif
