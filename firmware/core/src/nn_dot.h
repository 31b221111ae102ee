#ifndef WHIR_NN_DOT_H
#define WHIR_NN_DOT_H

#include "nn_fixed.h"

/*
 * What the inner loops have in common: several sums over (x - zero point) * w at once, so that a load serves several of them.
 * Accumulators wrap like the reference's: the additions are unsigned, as signed overflow is undefined.
 *
 * Columns are unrolled where speed counts: pointers then move once for all of them. The compiler must neither gather the loads
 * of several columns nor add up products of several columns first: there are not enough registers for it.
 */
#define COLUMNS 8u
#define UNROLLED(COLUMN) COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4) COLUMN(5) COLUMN(6) COLUMN(7)
/* eight more */
#define UNROLLED_ON(COLUMN) COLUMN(8) COLUMN(9) COLUMN(10) COLUMN(11) COLUMN(12) COLUMN(13) COLUMN(14) COLUMN(15)

#ifdef __GNUC__
#define UNROLL _Pragma("GCC unroll 8")
#define NOT_INLINED __attribute__((noinline)) /* the loops need all registers for themselves */
#else
#define UNROLL
#define NOT_INLINED
#endif

#endif
