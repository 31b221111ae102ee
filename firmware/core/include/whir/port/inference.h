#ifndef WHIR_PORT_INFERENCE_H
#define WHIR_PORT_INFERENCE_H

#include <stddef.h>
#include <stdint.h>

/* What an engine found in a model: one int8 input, one int8 output; scales as IEEE-754 bits. */
typedef struct whir_model_info {
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t arena_bytes; /* needed, input and output tensors included */
    uint32_t input_scale_bits;
    int32_t input_zero_point;
    uint32_t output_scale_bits;
    int32_t output_zero_point;
} whir_model_info_t;

/* Inference seam. whir_nn and TensorFlow Lite Micro stand behind it; same model, same bytes out. Never blocks on I/O. */
typedef struct whir_inference {
    void *ctx;
    const char *name;    /* "whir_nn" or "tflm": what stands in `engine` */
    uint32_t kernel_set; /* WHIR_KERNEL_SET_… */
    /* Verifies and plans. The model stays where it is (flash or RAM) and must outlive the engine's use of it; the arena
     * (16-byte aligned) is the caller's. 0, or WHIR_ERR_NN_…; info->arena_bytes is set even when the arena is too small. */
    int (*load)(struct whir_inference *engine, const uint8_t *model, uint32_t model_bytes, uint8_t *arena, uint32_t arena_bytes,
                whir_model_info_t *info);
    /* One inference with the model loaded last. */
    int (*invoke)(struct whir_inference *engine, const int8_t *input, int8_t *output);
} whir_inference_t;

#endif
