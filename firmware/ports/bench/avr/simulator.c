/*
 * simavr around one image: `simulator IMAGE.elf`. Prints what the image writes to GPIOR1, ends when it writes GPIOR0, and shows
 * it the count of cycles in GPIOR0 (low byte; latches the others), GPIOR1 and GPIOR2.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <simavr/avr_ioport.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_io.h>

#define MCU "atmega328p"
#define CLOCK_HZ 16000000
#define CYCLES_MAX 1600000000ull /* 100 s */

/* Addresses in the data space. */
#define GPIOR0 0x3E
#define GPIOR1 0x4A
#define GPIOR2 0x4B

static uint64_t latched;
static int over;

static uint8_t read_low(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    (void)addr;
    (void)param;
    latched = avr->cycle;
    return (uint8_t)latched;
}

static uint8_t read_mid(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    (void)avr;
    (void)addr;
    (void)param;
    return (uint8_t)(latched >> 8);
}

static uint8_t read_high(struct avr_t *avr, avr_io_addr_t addr, void *param)
{
    (void)avr;
    (void)addr;
    (void)param;
    return (uint8_t)(latched >> 16);
}

static void write_exit(struct avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param)
{
    (void)avr;
    (void)addr;
    (void)value;
    (void)param;
    over = 1;
}

static void write_output(struct avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param)
{
    (void)avr;
    (void)addr;
    (void)param;
    putchar(value);
}

/* simavr's own lines would stand between the image's. */
static void be_silent(struct avr_t *avr, const int level, const char *format, va_list args)
{
    (void)avr;
    (void)level;
    (void)format;
    (void)args;
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware = {0};
    int state = cpu_Running;
    avr_t *avr;

    avr_global_logger_set(be_silent);
    avr = avr_make_mcu_by_name(MCU);
    if (argc != 2 || avr == NULL || elf_read_firmware(argv[1], &firmware) != 0) {
        fprintf(stderr, "usage: simulator IMAGE.elf (for an " MCU ")\n");
        return EXIT_FAILURE;
    }
    avr_init(avr);
    firmware.frequency = CLOCK_HZ;
    avr_load_firmware(avr, &firmware);
    avr_register_io_read(avr, GPIOR0, read_low, NULL);
    avr_register_io_read(avr, GPIOR1, read_mid, NULL);
    avr_register_io_read(avr, GPIOR2, read_high, NULL);
    avr_register_io_write(avr, GPIOR0, write_exit, NULL);
    avr_register_io_write(avr, GPIOR1, write_output, NULL);
    while (!over && state != cpu_Done && state != cpu_Crashed && avr->cycle < CYCLES_MAX) {
        state = avr_run(avr);
    }
    if (!over) {
        fprintf(stderr, "the image %s\n", state == cpu_Crashed ? "crashed" : "did not end");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
