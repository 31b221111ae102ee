#ifndef WHIR_TASKS_H
#define WHIR_TASKS_H

#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "port.h"
#include "whir/loop.h"
#include "whir/sampler.h"

/* sample_task.c: reads the sensor, on the last core. */
void whir_sample_start(whir_accel_t *accel, const whir_accel_settings_t *settings, QueueHandle_t blocks);
/* As wiring->sensor and wiring->sleep. */
int whir_sample_want(whir_wiring_t *wiring, int wanted);
void whir_sample_sleep(whir_wiring_t *wiring, const whir_node_t *node, uint32_t ms, int motion);
void whir_sample_health(whir_health_t *health);
/* node_task.c: everything that calls the core, on core 0. Does not return. */
void whir_node_run(whir_loop_t *loop, whir_console_t *console, QueueHandle_t blocks);

#endif
