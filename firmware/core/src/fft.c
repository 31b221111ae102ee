#include "fft.h"

#include "fixed.h"
#include "tables.h"

#define QUARTER (WHIR_SINE_STEPS / 4)

/* Cosine and sine of an angle, Q30. */
typedef struct {
    int32_t cos, sin;
} turn_t;

/* Of k / WHIR_SINE_STEPS turns, k up to half a turn, from a quarter of the wave. */
static inline turn_t turn_of(uint32_t k)
{
    turn_t t;

    if (k <= QUARTER) {
        t.cos = WHIR_SINE_Q30[QUARTER - k];
        t.sin = WHIR_SINE_Q30[k];
    } else {
        t.cos = -WHIR_SINE_Q30[k - QUARTER];
        t.sin = WHIR_SINE_Q30[2 * QUARTER - k];
    }
    return t;
}

/* a * t, t in Q30, |a| < 2^29; exact for t = 0 and 1. */
static int32_t scaled(int32_t a, int32_t t)
{
    return whir_mulh((int32_t)((uint32_t)a << 2), t);
}

/* The pair (re, im) turned back by the angle. */
static inline void turn(int32_t *re, int32_t *im, int32_t c, int32_t s)
{
    int32_t turned = scaled(*re, c) + scaled(*im, s);

    *im = scaled(*im, c) - scaled(*re, s);
    *re = turned;
}

/* Two stages on four numbers that lie `leg` words apart: where nothing is turned but one of them by a quarter, no product. */
static inline void quad_plain(int32_t *z, uint32_t leg)
{
    int32_t *b = z + leg, *c = b + leg, *d = c + leg;
    int32_t a_re = z[0] + b[0], a_im = z[1] + b[1], b_re = z[0] - b[0], b_im = z[1] - b[1];
    int32_t c_re = c[0] + d[0], c_im = c[1] + d[1], d_re = c[0] - d[0], d_im = c[1] - d[1];

    z[0] = a_re + c_re;
    z[1] = a_im + c_im;
    b[0] = b_re + d_im;
    b[1] = b_im - d_re;
    c[0] = a_re - c_re;
    c[1] = a_im - c_im;
    d[0] = b_re - d_im;
    d[1] = b_im + d_re;
}

/* The same with the first stage's angle and half of it, the second stage's. */
static inline void quad_turned(int32_t *z, uint32_t leg, turn_t first, turn_t second)
{
    int32_t *b = z + leg, *c = b + leg, *d = c + leg;
    int32_t a_re, a_im, b_re = b[0], b_im = b[1], c_re, c_im, d_re = d[0], d_im = d[1];

    turn(&b_re, &b_im, first.cos, first.sin);
    turn(&d_re, &d_im, first.cos, first.sin);
    a_re = z[0] + b_re;
    a_im = z[1] + b_im;
    b_re = z[0] - b_re;
    b_im = z[1] - b_im;
    c_re = c[0] + d_re;
    c_im = c[1] + d_im;
    d_re = c[0] - d_re;
    d_im = c[1] - d_im;
    turn(&c_re, &c_im, second.cos, second.sin);
    turn(&d_re, &d_im, -second.sin, second.cos); /* a quarter further */
    z[0] = a_re + c_re;
    z[1] = a_im + c_im;
    b[0] = b_re + d_re;
    b[1] = b_im + d_im;
    c[0] = a_re - c_re;
    c[1] = a_im - c_im;
    d[0] = b_re - d_re;
    d[1] = b_im - d_im;
}

/* The last stage alone. */
static inline void pair_turned(int32_t *a, uint32_t leg, turn_t t)
{
    int32_t *b = a + leg;
    int32_t re = b[0], im = b[1];

    turn(&re, &im, t.cos, t.sin);
    b[0] = a[0] - re;
    b[1] = a[1] - im;
    a[0] += re;
    a[1] += im;
}

/* The next word in bit-reversed order: adds one from the top, the carry running down. */
static uint32_t reversed_next(uint32_t word, uint32_t n)
{
    uint32_t bit = n / 2;

    while ((word & bit) != 0) {
        word ^= bit;
        bit >>= 1;
    }
    return word | bit;
}

/* What makes a deviation of a sample, and a windowed value of that. */
typedef struct {
    uint32_t gain, offset;
    int32_t rounding;
    uint32_t down;
} scale_t;

static inline int32_t windowed(const scale_t *scale, int32_t sample, int32_t window)
{
    return (whir_mulh((int32_t)((uint32_t)sample * scale->gain - scale->offset), window) + scale->rounding) >> scale->down;
}

/*
 * The windowed input, pairs of samples in bit-reversed order. The four that the first two stages bring together lie a quarter
 * of the window apart, so that one sine and one cosine are the window of all of them.
 */
static void load(const whir_fft_input_t *input, int32_t *z)
{
    uint32_t n = input->n;
    uint32_t quarter = n / 4 * input->stride;
    const scale_t scale = {n << input->up, (uint32_t)input->sum << input->up, 1 << (input->down - 1), input->down};
    const int16_t *x = input->samples;
    uint32_t word = 0;
    int32_t *to = z;

    for (uint32_t i = 0; i < n / 4; i++, x += input->stride) {
        turn_t t = turn_of(i * (WHIR_SINE_STEPS / n));

        /* 2^29 is half; (1 - cos) / 2 at i, half a window on, a quarter on, three quarters on */
        to[0] = windowed(&scale, x[0], (1 << 29) - (t.cos >> 1));
        to[2] = windowed(&scale, x[2 * quarter], (1 << 29) + (t.cos >> 1));
        to[4] = windowed(&scale, x[quarter], (1 << 29) + (t.sin >> 1));
        to[6] = windowed(&scale, x[3 * quarter], (1 << 29) - (t.sin >> 1));
        if ((i & 1) == 0) {
            to++;
        } else {
            word = reversed_next(word, n);
            to = z + word;
        }
    }
}

void whir_fft_run(const whir_fft_input_t *input, int32_t *z)
{
    uint32_t n = input->n;
    uint32_t half = 1; /* complex distance of the first stage's legs */

    load(input, z);
    for (; 4 * half <= n / 2; half *= 4) {
        for (uint32_t i = 0; i < n; i += 8 * half) {
            quad_plain(z + i, 2 * half);
        }
        for (uint32_t j = 1; j < half; j++) {
            uint32_t angle = j * (QUARTER / half);
            turn_t first = turn_of(2 * angle), second = turn_of(angle);
            for (uint32_t i = 2 * j; i < n; i += 8 * half) {
                quad_turned(z + i, 2 * half, first, second);
            }
        }
    }
    if (half < n / 2) {
        for (uint32_t j = 0; j < half; j++) {
            pair_turned(z + 2 * j, 2 * half, turn_of(j * (2 * QUARTER / half)));
        }
    }
}

/* |2 X[k]|^2; p and q: bins k and n / 2 - k. */
static inline uint64_t power(const int32_t *p, const int32_t *q, int32_t c, int32_t s)
{
    /* The even samples' spectrum E is the Hermitian part of Z, the odd samples' O the rest: 2X = E + exp(-2 pi i k / n) O. */
    int32_t odd_re = p[1] + q[1], odd_im = q[0] - p[0];
    int32_t re = p[0] + q[0], im = p[1] - q[1];

    turn(&odd_re, &odd_im, c, s);
    re += odd_re;
    im += odd_im;
    return (uint64_t)((int64_t)re * re) + (uint64_t)((int64_t)im * im);
}

uint64_t whir_fft_power(const int32_t *z, uint32_t n, uint32_t from, uint32_t to)
{
    uint64_t sum = 0;

    for (uint32_t k = from; k < to; k++) {
        turn_t t = turn_of(k * (WHIR_SINE_STEPS / n));
        sum += power(z + 2 * k, k == 0 ? z : z + n - 2 * k, t.cos, t.sin);
    }
    return sum;
}
