#ifndef WHIR_BENCH_H
#define WHIR_BENCH_H

#include <stdint.h>

/*
 * What is measured, as main.c drives it: engine.c, pipeline.c, or empty.c, which uses data and library in the same way but
 * does nothing. The difference of two images is the flash of what is measured.
 */

/* Static figures of the subject, bytes. */
typedef struct subject_facts {
    uint32_t arena_bytes, input_bytes, state_bytes;
} subject_facts_t;

/* Once, counted: from a model in flash to ready. 0 or an error of the core. */
int subject_setup(subject_facts_t *facts);
/* Number of vectors in the data. */
uint32_t subject_vectors(void);
/* Brings vector `i` to where the subject reads it; not counted. */
void subject_feed(uint32_t i);
/* Counted. 0 or an error of the core. */
int subject_run(uint32_t i);
/* 1 when every byte that came out of vector `i` is the expected one. */
int subject_check(uint32_t i);

/* Clock ticks of the parts of the last run, filled by a subject that has them. */
enum { BENCH_PART_CONDITION, BENCH_PART_FEATURES, BENCH_PART_INFER, BENCH_PARTS };
extern uint32_t bench_ticks[BENCH_PARTS];

/* Files of the host, by data.S. */
extern const uint8_t bench_model[], bench_model_end[];
extern const uint8_t bench_params[], bench_params_end[];
extern const uint8_t bench_input[], bench_input_end[];
extern const uint8_t bench_output[], bench_output_end[];

#endif
