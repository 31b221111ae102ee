#ifndef WHIR_TASKS_H
#define WHIR_TASKS_H

#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "port.h"
#include "whir/sampler.h"

/* sample_task.c: reads the sensor, on the last core. */
void whir_sample_start(whir_accel_t *accel, const whir_accel_settings_t *settings, QueueHandle_t blocks);
/* 0: stand by. It does when whir_sample_rests. */
void whir_sample_want(int samples);
int whir_sample_rests(void);
void whir_sample_health(whir_health_t *health);
/* node_task.c: everything that calls the core, on core 0. Does not return. */
void whir_node_run(whir_node_t *node, whir_factory_t *factory, QueueHandle_t blocks);
/* One step of the factory's questions; the node's task takes it, or who runs no node. */
void whir_console_serve(whir_factory_t *factory);

#endif
