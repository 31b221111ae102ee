#ifndef WHIR_HOST_DECIDE_H
#define WHIR_HOST_DECIDE_H

#include <stdint.h>

/* Dequantizes q = -128 … 127 into out[0] … out[255]. */
void host_permille_all(uint32_t scale_bits, int32_t zero_point, uint16_t *out);

typedef struct host_mean host_mean_t;

host_mean_t *host_mean_new(uint8_t class_count, uint8_t windows_max);
void host_mean_free(host_mean_t *mean);
/* One window (permille NULL: flagged with `quality`). 1 when a verdict is due: class permille, top and windows are filled. */
int host_mean_push(host_mean_t *mean, const uint16_t *permille, uint8_t quality, uint64_t now_ms, uint16_t *mean_permille,
                   int8_t *top, uint8_t *windows);
void host_mean_reset(host_mean_t *mean);

typedef struct host_decide host_decide_t;

/* A setting of -1 is the default of the profile (enum profile). */
typedef struct host_decide_config {
    int32_t profile;
    int32_t raise_permille, clear_permille, raise_count, raise_of, clear_count;
    int64_t realert_interval_ms, warning_after_ms, critical_after_ms;
} host_decide_config_t;

typedef struct host_decision {
    uint8_t class_index, state, severity, raised;
} host_decision_t;

host_decide_t *host_decide_new(const host_decide_config_t *config, uint8_t class_count);
void host_decide_free(host_decide_t *decide);
/* One verdict, of the largest class when known, else unknown; novelty 65535: none. Fills at most 8 decisions (class_index 8:
 * the watch `unknown`, 9 and 10: those of velocity) and returns how many. */
int host_decide_step(host_decide_t *decide, const uint16_t *permille, uint8_t quality, uint16_t novelty, uint8_t known,
                     uint8_t zone, uint64_t now_ms, host_decision_t *out);
/* One second of velocity; at most 2 decisions. */
int host_decide_velocity(host_decide_t *decide, uint8_t zone, uint8_t changed, uint64_t now_ms, host_decision_t *out);
/* State of one class's alert: 0 = idle. */
uint8_t host_decide_state(const host_decide_t *decide, uint8_t class_index);
uint8_t host_decide_severity(const host_decide_t *decide);

#endif
