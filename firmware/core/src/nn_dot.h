#ifndef WHIR_NN_DOT_H
#define WHIR_NN_DOT_H

#include <stdint.h>

/*
 * What the inner loops have in common: eight sums over (x - zero point) * w at once, so that a load serves several of them.
 * Accumulators wrap like the reference's: the additions are unsigned, as signed overflow is undefined.
 *
 * Columns are unrolled where speed counts: pointers then move once for all of them. The compiler must neither gather the loads
 * of several columns nor add up products of several columns first: there are not enough registers for it.
 */
#ifdef __OPTIMIZE_SIZE__
#define UNROLLED(COLUMN)
#define COLUMNS 1u
#else
#define UNROLLED(COLUMN) COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4) COLUMN(5) COLUMN(6) COLUMN(7)
#define COLUMNS 8u
#endif
#ifdef __GNUC__
#define NOT_INLINED __attribute__((noinline)) /* the loops need all registers for themselves */
#define KEEP_ORDER(a, b, c, d, e, f, g, h)                                                                                     \
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h)::"memory");
#else
#define NOT_INLINED
#define KEEP_ORDER(a, b, c, d, e, f, g, h)
#endif

#endif
