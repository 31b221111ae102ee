#ifndef WHIR_NODE_PARTS_H
#define WHIR_NODE_PARTS_H

#include "whir/node.h"

/* What the node's source files call of each other. */

/* node_model.c: loads a bundle into condition stage and engine; the model in service is gone from both. */
int whir_node_load(whir_node_t *node, const whir_bundle_t *bundle);
/* Puts the loaded bundle into service. Alerts of classes that it knows by name go on, the others are closed. */
void whir_node_serve(whir_node_t *node, const whir_bundle_t *bundle);
/* The model in service again, after a candidate was loaded in vain. */
void whir_node_restore(whir_node_t *node);
/* The thresholds in force: those that were set, or the bundle's. */
void whir_node_thresholds_apply(whir_node_t *node);
/* Windows behind one verdict. */
uint8_t whir_node_windows_max(const whir_params_t *params);
/* Index of the fault class of this name; 0: there is none. */
int whir_node_class_named(const whir_bundle_t *bundle, const char *name);
/* Opens the slot in service, at boot or after a revert. 0, 1 after a revert at boot, or why there is no model. */
int whir_node_open(whir_node_t *node);

/* node_verdict.c */
/* Puts velocity and zone, as they are now, into a verdict. */
void whir_node_grade(const whir_node_t *node, whir_verdict_t *verdict);
/* Far from all that this machine was, and no known fault explains it: the verdict is unknown, whatever class is largest. */
void whir_node_doubt(const whir_decide_t *decide, whir_verdict_t *verdict);
int whir_node_classify(whir_node_t *node, uint64_t now_ms);
void whir_node_tell_decisions(whir_node_t *node, const whir_decision_t *decisions, int count, uint64_t now_ms);
/* Tells the local output when the highest severity has changed. */
void whir_node_show_severity(whir_node_t *node);
void whir_node_watch_sensor(whir_node_t *node, uint64_t now_ms);

/* node_baseline.c: learns the machine's baseline, and says how far a window is from it. */
int whir_node_commission(whir_node_t *node, const whir_command_t *command);
/* The model in service has changed. */
void whir_node_baseline_match(whir_node_t *node);
/* The features of one good window; its novelty in permille, or WHIR_NOVELTY_NONE. */
uint16_t whir_node_novelty(whir_node_t *node, uint64_t now_ms);
/* A second of velocity is full. */
void whir_node_second(whir_node_t *node, uint64_t now_ms);

/* node_link.c: each consumes one seq when the message is stored or sent. */
void whir_node_tell_event(whir_node_t *node, const whir_event_t *event, uint64_t now_ms);
void whir_node_tell_alert(whir_node_t *node, const whir_decision_t *decision, const char *class_name, uint16_t permille,
                          uint8_t quality, uint64_t now_ms);
int whir_node_publish(whir_node_t *node, const char *topic, int bytes, int retained);
int whir_node_send_status(whir_node_t *node, uint8_t state, uint32_t next_s, uint64_t now_ms);
void whir_node_link_step(whir_node_t *node, uint64_t now_ms);
uint8_t whir_node_state(const whir_node_t *node);
whir_stamp_t whir_node_stamp(const whir_node_t *node, uint64_t now_ms);
whir_service_t whir_node_service(const whir_node_t *node);

/* node_command.c: restarts the board when that was asked for. */
/* Restarts the board in a moment, when its answer is out. */
void whir_node_restart_ask(whir_node_t *node, int forget_settings, uint64_t now_ms);
void whir_node_restart_step(whir_node_t *node, uint64_t now_ms);

void whir_node_learning_failed(whir_node_t *node, int code);

/* node_mounting.c: while the machine is learned gravity has to point where the installer said; else that has failed. */
void whir_node_mounting_begin(whir_node_t *node);
void whir_node_mounting_push(whir_node_t *node, const int16_t *sample);

/* node_power.c */
void whir_node_power_step(whir_node_t *node, uint64_t now_ms);
int whir_node_listens(const whir_node_t *node);
int whir_node_remembers(const whir_node_memory_t *memory, uint32_t boot);
void whir_node_wake(whir_node_t *node, const whir_node_memory_t *memory, uint64_t now_ms);

/* node_settings.c: settings of the board, and the trial of those of the link. */
int whir_node_setting(whir_node_t *node, const whir_command_t *command, uint64_t now_ms);
/* A request for an operational certificate, as an event. */
int whir_node_renew(whir_node_t *node, const whir_command_t *command, uint64_t now_ms);
void whir_node_settings_sum(whir_node_t *node);
void whir_node_settings_boot(whir_node_t *node, uint64_t now_ms);
void whir_node_settings_step(whir_node_t *node, uint64_t now_ms);

/* node_capture.c */
/* An alert has been raised: the signal that did it. */
void whir_node_capture_alert(whir_node_t *node, uint32_t occurrence, uint64_t now_ms);
int whir_node_capture_command(whir_node_t *node, const whir_command_t *command, uint64_t now_ms);
/* The fleet has received the message `seq` of this boot. */
void whir_node_capture_receipt(whir_node_t *node, uint32_t seq);
void whir_node_capture_connected(whir_node_t *node);
void whir_node_capture_step(whir_node_t *node, uint64_t now_ms);

/* node_firmware.c */
int whir_node_firmware_start(whir_node_t *node, const whir_command_t *command, uint64_t now_ms);
int whir_node_firmware_data(whir_node_t *node, const uint8_t *data, uint32_t bytes, uint64_t now_ms);
int whir_node_firmware_end(whir_node_t *node, int error, uint64_t now_ms);
void whir_node_firmware_boot(whir_node_t *node, uint64_t now_ms);
void whir_node_firmware_step(whir_node_t *node, uint64_t now_ms);
void whir_node_firmware_receipt(whir_node_t *node, uint32_t seq);

/* node_shadow.c: a candidate runs beside the model in service. */
/* 0, or WHIR_ERR_BUNDLE_SHADOW: it hears other features, or there is no model to run beside. */
int whir_node_shadow_fits(const whir_node_t *node, const whir_bundle_t *candidate);
void whir_node_shadow_begin(whir_node_t *node, const whir_bundle_t *candidate, uint32_t seconds, uint64_t now_ms);
/* The window whose features stand in node->features. */
void whir_node_shadow_window(whir_node_t *node, uint8_t quality, uint16_t novelty, uint64_t signal_ms);
/* The verdict of the model in service on it, and what came of it. */
void whir_node_shadow_verdict(whir_node_t *node, const whir_verdict_t *old, const whir_decision_t *decisions, int told,
                              uint64_t now_ms);
int whir_node_shadow_over(const whir_node_t *node, uint64_t now_ms);

/* node_update.c */
int whir_node_update_start(whir_node_t *node, const whir_command_t *command, uint64_t now_ms);
int whir_node_rollback(whir_node_t *node, const whir_command_t *command, uint64_t now_ms);
void whir_node_update_step(whir_node_t *node, uint64_t now_ms);
/* Tells that the model in service is on trial; the receipt for it confirms. */
void whir_node_tell_trial(whir_node_t *node, uint64_t now_ms);
void whir_node_trial_receipt(whir_node_t *node, uint64_t now_ms);

#endif
