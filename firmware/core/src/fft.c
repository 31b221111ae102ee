#include "fft.h"

#include "fixed.h"
#include "tables.h"

/* Sine of k / 1024 turns in Q30, from a quarter of the wave. */
static int32_t sine(uint32_t k)
{
    uint32_t quarter = (k >> 8) & 3;
    uint32_t rest = k & 255;
    int32_t value = WHIR_SINE_Q30[(quarter & 1) != 0 ? 256 - rest : rest];

    return (quarter & 2) != 0 ? -value : value;
}

static int32_t cosine(uint32_t k)
{
    return sine(k + 256);
}

/* a * t, t in Q30, |a| < 2^29; exact for t = 0 and 1. */
static int32_t scaled(int32_t a, int32_t t)
{
    return whir_mulh((int32_t)((uint32_t)a << 2), t);
}

uint32_t whir_fft_next(uint32_t word, uint32_t n)
{
    uint32_t bit = n / 2;

    /* adds one from the top, the carry running down */
    while ((word & bit) != 0) {
        word ^= bit;
        bit >>= 1;
    }
    return word | bit;
}

void whir_fft_run(int32_t *z, uint32_t n)
{
    /* radix 2, decimation in time; half = complex distance of a butterfly's legs */
    for (uint32_t half = 1; half < n / 2; half *= 2) {
        for (uint32_t j = 0; j < half; j++) {
            uint32_t angle = j * (WHIR_SINE_STEPS / 2 / half);
            int32_t c = cosine(angle);
            int32_t s = sine(angle);
            for (uint32_t i = 2 * j; i < n; i += 4 * half) {
                int32_t *a = z + i;
                int32_t *b = a + 2 * half;
                int32_t re = scaled(b[0], c) + scaled(b[1], s);
                int32_t im = scaled(b[1], c) - scaled(b[0], s);
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
        }
    }
}

uint64_t whir_fft_power(const int32_t *z, uint32_t n, uint32_t k)
{
    /* The even samples' spectrum E is the Hermitian part of Z, the odd samples' O the rest: 2X = E + exp(-2 pi i k / n) O. */
    const int32_t *p = z + 2 * k;
    const int32_t *q = k == 0 ? z : z + n - 2 * k;
    uint32_t angle = k * (WHIR_SINE_STEPS / n);
    int32_t c = cosine(angle);
    int32_t s = sine(angle);
    int32_t odd_re = p[1] + q[1];
    int32_t odd_im = q[0] - p[0];
    int64_t re = (int64_t)p[0] + q[0] + scaled(odd_re, c) + scaled(odd_im, s);
    int64_t im = (int64_t)p[1] - q[1] + scaled(odd_im, c) - scaled(odd_re, s);

    return (uint64_t)(re * re) + (uint64_t)(im * im);
}

int32_t whir_fft_hann(uint32_t i, uint32_t n)
{
    return (1 << 29) - cosine(i * (WHIR_SINE_STEPS / n)) / 2;
}
