#ifndef WHIR_DECIDE_H
#define WHIR_DECIDE_H

#include <stdint.h>

#include "whir/contract.h"
#include "whir/novelty.h"

/* One verdict: mean of the dequantized permille over the windows behind it. */
typedef struct whir_verdict {
    uint16_t permille[WHIR_VERDICT_CLASSES_MAX];
    uint8_t class_count;
    int8_t top;       /* index of the class, -1 = unknown */
    uint8_t windows;  /* behind it */
    uint8_t quality;  /* WHIR_QUALITY_…; not 0 means top is -1 */
    uint16_t novelty; /* permille of the distance that is unknown, or WHIR_NOVELTY_NONE */
    uint32_t rms_counts;
    uint8_t zone;           /* WHIR_ZONE_…; none: zone_reason says why */
    uint8_t zone_reason;    /* WHIR_ZONE_REASON_… */
    uint16_t velocity_hz;   /* upper end of the velocity's band; 0 = not measured */
    uint32_t velocity_um_s; /* RMS over the last whole second, worst axis */
} whir_verdict_t;

/* Averages windows into verdicts: at most WHIR_VERDICT_WINDOWS_MAX windows, WHIR_VERDICT_SPAN_MAX_MS, and
 * WHIR_VERDICT_RATE_MAX_HZ verdicts a second. */
typedef struct whir_mean {
    uint16_t permille[WHIR_VERDICT_WINDOWS_MAX][WHIR_VERDICT_CLASSES_MAX];
    uint16_t novelty[WHIR_VERDICT_WINDOWS_MAX];
    uint64_t at_ms[WHIR_VERDICT_WINDOWS_MAX];
    uint64_t last_verdict_ms;
    uint8_t count;
    uint8_t next;
    uint8_t windows_max;
    uint8_t class_count;
    uint8_t started; /* a verdict has been given */
} whir_mean_t;

void whir_mean_init(whir_mean_t *m, uint8_t class_count, uint8_t windows_max);
/* One window's permille and novelty (or WHIR_NOVELTY_NONE) in, `now_ms` the signal's time (samples counted), so that bursts and
 * jitter of a FIFO do not matter. Ties go to the lower class index. Returns 1 and fills `verdict` when one is due, else 0. */
int whir_mean_push(whir_mean_t *m, const uint16_t *permille, uint16_t novelty, uint64_t now_ms, whir_verdict_t *verdict);
/* A window that must not be classified (quality not 0): the same pace, and a verdict without a class. */
int whir_mean_flag(whir_mean_t *m, uint8_t quality, uint64_t now_ms, whir_verdict_t *verdict);
/* Forget the windows, e.g. after a gap; the pace is kept. */
void whir_mean_reset(whir_mean_t *m);

/* Dequantizes one int8 output: (q - zero_point) * scale * 1000, halves up, clamped to 0..1000; scale as IEEE-754 bits,
 * zero_point an int8's. */
uint16_t whir_permille(int8_t q, uint32_t scale_bits, int32_t zero_point);

/* How long is long enough. part_ms 0: raise_count of the last raise_of verdicts; else the fault stands in raise_percent of
 * WHIR_DECIDE_PARTS parts of part_ms running time each, and is over when it does in clear_percent at most. */
typedef struct whir_decide_config {
    uint16_t raise_permille;
    uint16_t clear_permille;
    uint8_t raise_count;
    uint8_t raise_of;
    uint8_t clear_count;
    uint8_t raise_percent, clear_percent;
    uint32_t part_ms;
    uint32_t run_up_ms; /* after a standstill nothing counts for so long */
    uint32_t realert_interval_ms;
    uint32_t warning_after_ms;
    uint32_t critical_after_ms;
} whir_decide_config_t;

void whir_decide_config_default(whir_decide_config_t *config, uint8_t profile /* WHIR_PROFILE_… */);

/* Alert of one fault class, or of one watch. */
typedef struct whir_alert {
    uint8_t state;                    /* idle (0) or WHIR_ALERT_STATE_… */
    uint8_t severity;                 /* WHIR_SEVERITY_… */
    uint8_t history;                  /* bit i: the i-th last good verdict was above */
    uint8_t below;                    /* consecutive verdicts under clear_permille */
    uint8_t share[WHIR_DECIDE_PARTS]; /* of the last whole parts: percent of the verdicts that were above */
    uint8_t parts;                    /* whole ones, at most WHIR_DECIDE_PARTS */
    uint8_t next;                     /* to overwrite */
    uint32_t above, total;            /* verdicts in the part under way */
    uint32_t filled_ms;               /* of it */
    uint64_t since_ms;                /* of the raise */
    uint64_t told_ms;                 /* last message about it */
} whir_alert_t;

/* Alerts stand at their class's index, index 0 unused; behind them those of enum watch. */
#define WHIR_DECIDE_WATCH(watch) (WHIR_VERDICT_CLASSES_MAX + (watch))
#define WHIR_DECIDE_WATCHES 3
#define WHIR_DECIDE_ALERTS (WHIR_VERDICT_CLASSES_MAX + WHIR_DECIDE_WATCHES)

typedef struct whir_decide {
    whir_decide_config_t config;
    whir_alert_t alert[WHIR_DECIDE_ALERTS];
    uint8_t class_count;
    uint8_t good;        /* the last verdict was: time since then is running time */
    uint64_t last_ms;    /* of the last verdict */
    uint32_t running_ms; /* since the last standstill, at most run_up_ms */
    uint32_t moving_ms;  /* since velocity has a zone without a break, the same */
} whir_decide_t;

/* A change to be told. */
typedef struct whir_decision {
    uint8_t class_index; /* or WHIR_DECIDE_WATCH(…) */
    uint8_t state;       /* WHIR_ALERT_STATE_… */
    uint8_t severity;    /* WHIR_SEVERITY_… */
    uint8_t raised;      /* 1 when this is the raise: a new occurrence begins */
} whir_decision_t;

void whir_decide_init(whir_decide_t *d, const whir_decide_config_t *config, uint8_t class_count);

/*
 * One verdict in. Fills at most class_count decisions and returns how many. A verdict with quality bits holds every state: it
 * counts neither as healthy nor as faulty, and its time is not counted towards a higher severity. So does one of the run-up.
 * The verdict's zone lifts the severity of what is active; its novelty is the watch `unknown`.
 */
int whir_decide_step(whir_decide_t *d, const whir_verdict_t *verdict, uint64_t now_ms, whir_decision_t *out);

/* Nobody has looked since the last verdict: that time counts neither as running nor towards a higher severity. */
void whir_decide_rest(whir_decide_t *d, uint64_t now_ms);

/*
 * One second of velocity in, with its zone (WHIR_ZONE_NONE: no limits, a standstill, a bad sensor: nothing is watched), and
 * whether it has changed from the baseline. Needs no verdict. Fills at most two decisions and returns how many.
 */
int whir_decide_velocity(whir_decide_t *d, uint8_t zone, uint8_t changed, uint64_t now_ms, whir_decision_t *out);

/* Highest severity of all active alerts, for the local output. */
uint8_t whir_decide_severity(const whir_decide_t *d);

#endif
