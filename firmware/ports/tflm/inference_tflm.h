#ifndef WHIR_INFERENCE_TFLM_H
#define WHIR_INFERENCE_TFLM_H

#include "whir/port/inference.h"

/* TensorFlow Lite Micro behind the inference seam, with the operators of nn_ops.h (generate_ops.py), on any chip it runs on. */
void whir_tflm_inference(whir_inference_t *engine);

#endif
