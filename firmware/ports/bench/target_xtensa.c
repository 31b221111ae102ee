#include "target.h"

/* QEMU's simulator calls. */
#define SYS_EXIT 1
#define SYS_WRITE 4
#define STDOUT 1

static int simcall(int number, int first, const void *second, int third)
{
    register int a2 __asm__("a2") = number;
    register int a3 __asm__("a3") = first;
    register const void *a4 __asm__("a4") = second;
    register int a5 __asm__("a5") = third;

    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

void target_put(char c)
{
    simcall(SYS_WRITE, STDOUT, &c, 1);
}

void target_exit(void)
{
    simcall(SYS_EXIT, 0, 0, 0);
    for (;;) {
    }
}

uint32_t target_clock(void)
{
    uint32_t count;

    __asm__ volatile("rsr %0, ccount" : "=a"(count)::"memory");
    return count;
}

/*
 * The core has no counter of instructions. Its cycle counter follows QEMU's clock at 40 MHz, and with `-icount shift=7` an
 * instruction lasts 128 ns: 5.12 ticks, so the number of instructions comes back exactly, up to 838 million.
 */
uint32_t target_instructions(uint32_t ticks)
{
    return (uint32_t)(((uint64_t)ticks * 25 + 64) >> 7);
}
