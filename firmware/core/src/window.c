#include "whir/window.h"

static void restart(whir_window_t *w)
{
    w->filled = 0;
    w->head = 0;
    w->to_go = w->samples;
    w->since_clip = w->samples;
    for (uint32_t c = 0; c < WHIR_WINDOW_CHANNELS_MAX; c++) {
        w->same[c] = 0;
    }
}

void whir_window_init(whir_window_t *w, const whir_params_t *params, int16_t *buffer)
{
    w->buffer = buffer;
    w->samples = params->window_samples;
    w->hop = params->hop_samples;
    w->channels = params->channels;
    w->quality = 0;
    restart(w);
}

/* How long each axis has not moved, and how long ago a sample touched a rail: both stop counting at a whole window. */
static void sample_judge(whir_window_t *w, const int16_t *sample)
{
    uint32_t last = w->head == 0 ? w->samples - 1u : w->head - 1u;

    w->since_clip = (uint16_t)(w->since_clip + (w->since_clip < w->samples));
    for (uint32_t c = 0; c < w->channels; c++) {
        if (w->filled == 0 || sample[c] != w->buffer[last * w->channels + c]) {
            w->same[c] = 0;
        }
        w->same[c] = (uint16_t)(w->same[c] + (w->same[c] < w->samples));
        if (sample[c] == INT16_MAX || sample[c] <= -INT16_MAX) {
            w->since_clip = 0;
        }
    }
}

int whir_window_push(whir_window_t *w, const int16_t *sample)
{
    if (w->to_go == 0) { /* the window that was due has been read */
        w->to_go = w->hop;
        w->quality = 0;
    }
    sample_judge(w, sample);
    for (uint32_t c = 0; c < w->channels; c++) {
        w->buffer[(uint32_t)w->head * w->channels + c] = sample[c];
    }
    w->head = (uint16_t)(w->head + 1 == w->samples ? 0 : w->head + 1);
    w->filled = (uint16_t)(w->filled + (w->filled < w->samples));
    w->to_go--;
    return w->to_go == 0;
}

void whir_window_clip(whir_window_t *w)
{
    w->since_clip = 0;
}

static void reverse(int16_t *words, uint32_t from, uint32_t to)
{
    while (from + 1 < to) {
        int16_t kept = words[from];
        words[from++] = words[--to];
        words[to] = kept;
    }
}

/* The oldest sample to the front, in place: both parts reversed, then all of it. */
static void into_order(whir_window_t *w)
{
    uint32_t words = (uint32_t)w->samples * w->channels;
    uint32_t oldest = (uint32_t)w->head * w->channels;

    if (oldest != 0) {
        reverse(w->buffer, 0, oldest);
        reverse(w->buffer, oldest, words);
        reverse(w->buffer, 0, words);
        w->head = 0;
    }
}

uint8_t whir_window_read(whir_window_t *w)
{
    uint8_t quality = w->quality;

    into_order(w);
    if (w->since_clip < w->samples) {
        quality |= WHIR_QUALITY_CLIPPED;
    }
    for (uint32_t c = 0; c < w->channels; c++) {
        if (w->same[c] >= w->samples) {
            quality |= WHIR_QUALITY_STUCK;
        }
    }
    return quality;
}

void whir_window_gap(whir_window_t *w)
{
    restart(w);
    w->quality = WHIR_QUALITY_GAP;
}
