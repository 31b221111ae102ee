#include <stdint.h>

/* A driver of firmware/sensors over a bus that is a callback: tests put a simulated part behind it. */
typedef struct host_accel host_accel_t;
typedef int (*host_accel_transfer_t)(void *user, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes);
typedef void (*host_accel_wait_t)(void *user, uint32_t ms);

/* Name of the part at that place, or NULL behind the last. */
const char *host_accel_part(uint32_t index);
/* NULL: no such part. kind: 1 = SPI, 2 = I2C. */
host_accel_t *host_accel_new(const char *part, uint8_t kind, host_accel_transfer_t transfer, host_accel_wait_t wait,
                             void *user);
void host_accel_free(host_accel_t *h);
int host_accel_open(host_accel_t *h, uint32_t rate_mhz, uint32_t bandwidth_hz, uint32_t range_mg, const int8_t *axes);
int host_accel_read(host_accel_t *h, int16_t *samples, uint32_t max, uint64_t now_us);
uint32_t host_accel_watermark_us(const host_accel_t *h);
uint32_t host_accel_overrun_us(const host_accel_t *h);
/* rate_mhz, bandwidth_hz, range_milli, noise_ug_rthz, lsb_nano, unit, channels */
void host_accel_info(const host_accel_t *h, uint32_t *values);
/* Reads by the sampler from now on; with open failing, until it works. Gives the count, and gap and what to wait. */
int host_accel_turn(host_accel_t *h, int wanted, int16_t *samples, uint8_t *gap, uint32_t *wait_ms, uint64_t now_us);
/* Overruns and times that it was opened anew. */
void host_accel_troubles(const host_accel_t *h, uint32_t *values);
/* Stands by and watches for motion. */
int host_accel_watch(host_accel_t *h);
int host_accel_settle(host_accel_t *h, uint64_t (*now_us)(void *user));
int host_accel_temperature(host_accel_t *h, int16_t *cdeg);
int host_accel_self_test(host_accel_t *h, int16_t *moved_mg);
int host_accel_mounting(host_accel_t *h, int8_t up, int16_t *mean_mg);
int host_accel_axes(const char *text, int8_t *axes);
/* What the part does at its fastest: rate_mhz, bandwidth_hz, its largest range in mg, noise_ug_rthz, lsb_nano there, samples in
 * the FIFO, watermark. */
void host_accel_fastest(uint32_t index, uint32_t *values);
