#ifndef WHIR_WINDOW_H
#define WHIR_WINDOW_H

#include <stdint.h>

#include "whir/params.h"

/* Sliding window over conditioned samples. The buffer (window_samples * channels int16) is the caller's. */
typedef struct whir_window {
    int16_t *buffer;
    uint16_t samples; /* per axis */
    uint16_t hop;
    uint16_t filled; /* samples in the buffer */
    uint16_t head;   /* next to overwrite */
    uint16_t to_go;  /* samples until the next window is due */
    uint8_t channels;
    uint8_t quality;                         /* WHIR_QUALITY_GAP until the first window after a gap has been read */
    uint16_t since_clip;                     /* samples since the last clipped one, at most `samples` */
    uint16_t same[WHIR_WINDOW_CHANNELS_MAX]; /* samples for which the axis has not moved, at most `samples` */
} whir_window_t;

void whir_window_init(whir_window_t *w, const whir_params_t *params, int16_t *buffer);

/* One sample in; returns 1 when a window is due (then read it before the next push), else 0. */
int whir_window_push(whir_window_t *w, const int16_t *sample);

/*
 * Brings the window in the buffer into time order, sample-major, where it stays until the next push, and returns its quality
 * bits: CLIPPED: a sample in it is at +32767, -32767 or -32768, or was marked by whir_window_clip; STUCK:   an axis has one
 * value through the whole window; GAP:     samples were lost before this window, the first whole one since; its own samples are
 * contiguous.
 */
uint8_t whir_window_read(whir_window_t *w);

/* The sample pushed last rests on clipped input (WHIR_CONDITION_CLIPPED). */
void whir_window_clip(whir_window_t *w);

/* Samples were lost: the windows that would contain the gap are dropped, never classified. */
void whir_window_gap(whir_window_t *w);

#endif
