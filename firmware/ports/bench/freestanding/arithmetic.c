/*
 * Compiler library for the Xtensa lx106: Debian's comes without these functions, as the ESP8266 has them in ROM. Their bytes
 * and instructions count as ours.
 */
#include <stdint.h>

uint32_t __udivsi3(uint32_t a, uint32_t b);
uint32_t __umodsi3(uint32_t a, uint32_t b);
int32_t __divsi3(int32_t a, int32_t b);
uint64_t __umulsidi3(uint32_t a, uint32_t b);
uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __udivdi3(uint64_t a, uint64_t b);
uint64_t __umoddi3(uint64_t a, uint64_t b);

/* It is in Debian's library. */
uint64_t __udivmoddi4(uint64_t a, uint64_t b, uint64_t *rest);

/* Shift and subtract, from the first bit in which the quotient can be set. */
static uint32_t divide(uint32_t a, uint32_t b, uint32_t *rest)
{
    uint32_t quotient = 0, bit = 1;

    while (b < a && (b & 0x80000000u) == 0) {
        b <<= 1;
        bit <<= 1;
    }
    for (; bit != 0; bit >>= 1, b >>= 1) {
        if (a >= b) {
            a -= b;
            quotient |= bit;
        }
    }
    *rest = a;
    return quotient;
}

uint32_t __udivsi3(uint32_t a, uint32_t b)
{
    uint32_t rest;

    return divide(a, b, &rest);
}

uint32_t __umodsi3(uint32_t a, uint32_t b)
{
    uint32_t rest;

    divide(a, b, &rest);
    return rest;
}

int32_t __divsi3(int32_t a, int32_t b)
{
    uint32_t rest, quotient = divide(a < 0 ? 0u - (uint32_t)a : (uint32_t)a, b < 0 ? 0u - (uint32_t)b : (uint32_t)b, &rest);

    return (int32_t)((a < 0) != (b < 0) ? 0u - quotient : quotient);
}

uint64_t __udivdi3(uint64_t a, uint64_t b)
{
    return __udivmoddi4(a, b, (uint64_t *)0);
}

uint64_t __umoddi3(uint64_t a, uint64_t b)
{
    uint64_t rest;

    __udivmoddi4(a, b, &rest);
    return rest;
}

/* Four products of halves: the core has a 32 x 32 -> 32 multiply only. */
uint64_t __umulsidi3(uint32_t a, uint32_t b)
{
    uint32_t al = a & 0xFFFF, ah = a >> 16, bl = b & 0xFFFF, bh = b >> 16;
    uint32_t low = al * bl, mid = ah * bl + (low >> 16), mid2 = al * bh + (mid & 0xFFFF);
    uint32_t high = ah * bh + (mid >> 16) + (mid2 >> 16);

    return ((uint64_t)high << 32) | (mid2 << 16) | (low & 0xFFFF);
}

uint64_t __muldi3(uint64_t a, uint64_t b)
{
    uint64_t low = __umulsidi3((uint32_t)a, (uint32_t)b);

    return low + ((uint64_t)((uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32)) << 32);
}
