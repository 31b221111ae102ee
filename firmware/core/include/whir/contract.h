/* Generated from the TOML files in contracts/ by `make generate`; do not edit. */
/* clang-format off */
#ifndef WHIR_CONTRACT_H
#define WHIR_CONTRACT_H

#include <stdint.h>

/* Errors: functions return these negative codes, or a value >= 0. */
#define WHIR_OK 0
#define WHIR_ERR_ARG (-1) /* a caller broke the contract on the header */
#define WHIR_ERR_SPACE (-2) /* the buffer, slot or arena is too small; the needed size is reported */
#define WHIR_ERR_FLASH (-3) /* the flash driver failed; its own code is kept */
#define WHIR_ERR_FLASH_WORN (-4) /* a unit that must be erased was found programmed */
#define WHIR_ERR_CRC (-5) /* a stored or received checksum does not match */
#define WHIR_ERR_VERSION (-6) /* a format version that this build does not read */
#define WHIR_ERR_STATE (-7) /* not possible in the present state */
#define WHIR_ERR_BUSY (-8) /* an earlier request is still under way */
#define WHIR_ERR_EXPIRED (-9) /* the command's `exp` has passed */
#define WHIR_ERR_JSON (-10) /* not flat JSON by the contract, or longer than the limit */
#define WHIR_ERR_COMMAND (-11) /* no such command, or a field is missing or out of range */
#define WHIR_ERR_DOWNLOAD (-12) /* the bundle could not be fetched whole */
#define WHIR_ERR_CERTIFICATE (-13) /* not a whole certificate, or not for the key that this node has made */
#define WHIR_ERR_BUNDLE_HEADER (-20) /* not a Whir bundle, or its header is damaged */
#define WHIR_ERR_BUNDLE_TRUNCATED (-21) /* fewer bytes than the header states */
#define WHIR_ERR_BUNDLE_MANIFEST (-22) /* a TLV is missing, doubled, out of order or of the wrong length */
#define WHIR_ERR_BUNDLE_SIGNATURE (-23) /* the signature does not verify, or its key is unknown */
#define WHIR_ERR_BUNDLE_PART_HASH (-24) /* a part's SHA-256 differs from the manifest's */
#define WHIR_ERR_BUNDLE_COUNTER (-25) /* the security counter is below the node's */
#define WHIR_ERR_BUNDLE_HARDWARE (-26) /* made for another hardware class */
#define WHIR_ERR_BUNDLE_FEATURES (-27) /* the features hash differs, or a parameter is outside what this build supports */
#define WHIR_ERR_BUNDLE_SENSOR (-28) /* the node's sensor hears less than the bundle needs */
#define WHIR_ERR_BUNDLE_GOLDEN (-29) /* a golden vector gave another byte on this node */
#define WHIR_ERR_BUNDLE_KERNELS (-30) /* not proven for this node's inference engine */
#define WHIR_ERR_BUNDLE_SHADOW (-31) /* it cannot run beside the model in service: it hears other features, or there is no model */
#define WHIR_ERR_NN_SCHEMA (-40) /* not a TFLite FlatBuffer with one input and one output, or an offset or length points outside it */
#define WHIR_ERR_NN_OP (-41) /* an operator that this build does not have; TensorFlow Lite Micro is the way out */
#define WHIR_ERR_NN_TYPE (-42) /* a tensor type other than int8 (int32 for biases and shapes) */
#define WHIR_ERR_NN_SHAPE (-43) /* tensor shapes that do not fit together, or a dynamic dimension */
#define WHIR_ERR_NN_QUANT (-44) /* quantization parameters that are missing or out of range */
#define WHIR_ERR_NN_OPTION (-45) /* an operator option outside its range */
#define WHIR_ERR_NN_ARENA (-46) /* the arena is smaller than the plan needs */
#define WHIR_ERR_NN_ENGINE (-47) /* the other inference engine failed; its own code is kept */
#define WHIR_ERR_NN_PLAN (-48) /* the model's file ends with no plan for this build, or with one that leads outside it */
#define WHIR_ERR_SENSOR_BUS (-60) /* the sensor does not answer on its bus; the vendor's own code is kept */
#define WHIR_ERR_SENSOR_IDENTITY (-61) /* another part answers than the board file names */
#define WHIR_ERR_SENSOR_SETTING (-62) /* a sensor register does not hold what was written to it */
#define WHIR_ERR_SENSOR_RATE (-63) /* the sensor cannot sample that fast, or cannot hear that high */
#define WHIR_ERR_SENSOR_RANGE (-64) /* the sensor cannot measure accelerations that large */
#define WHIR_ERR_SENSOR_OVERRUN (-65) /* the sensor's FIFO was read too late: samples are lost, it starts again */
#define WHIR_ERR_SENSOR_SILENT (-66) /* the sensor answers but gives no new samples */
#define WHIR_ERR_SENSOR_STUCK (-67) /* the sensor repeats one value */
#define WHIR_ERR_SENSOR_SELF_TEST (-68) /* the sensor's self-test moved it too little or too far */
#define WHIR_ERR_SENSOR_MOUNTING (-69) /* gravity does not point where the mounting says */
#define WHIR_ERR_FIRMWARE_HEADER (-80) /* not a firmware package, or of another format */
#define WHIR_ERR_FIRMWARE_SIGNATURE (-81) /* the package's signature does not verify, or its key is unknown */
#define WHIR_ERR_FIRMWARE_HARDWARE (-82) /* made for another hardware class */
#define WHIR_ERR_FIRMWARE_COUNTER (-83) /* the package's security counter is below the node's */
#define WHIR_ERR_FIRMWARE_VERSION (-84) /* the firmware that runs is older than the package allows to be followed */
#define WHIR_ERR_FIRMWARE_MODEL (-85) /* the package cannot run the model in service: another extractor version */
#define WHIR_ERR_FIRMWARE_IMAGE (-86) /* the image differs from its hash, or the bootloader's own check refuses it */
#define WHIR_ERR_FIRMWARE_UNPROVEN (-87) /* the new firmware did not show in time that it works; the event's text says what was missing */

/* The error's name on the wire; "unknown" for any other number. */
#define WHIR_ERROR_NAMES(X) \
    X(WHIR_ERR_ARG, "arg") \
    X(WHIR_ERR_SPACE, "space") \
    X(WHIR_ERR_FLASH, "flash") \
    X(WHIR_ERR_FLASH_WORN, "flash_worn") \
    X(WHIR_ERR_CRC, "crc") \
    X(WHIR_ERR_VERSION, "version") \
    X(WHIR_ERR_STATE, "state") \
    X(WHIR_ERR_BUSY, "busy") \
    X(WHIR_ERR_EXPIRED, "expired") \
    X(WHIR_ERR_JSON, "json") \
    X(WHIR_ERR_COMMAND, "command") \
    X(WHIR_ERR_DOWNLOAD, "download") \
    X(WHIR_ERR_CERTIFICATE, "certificate") \
    X(WHIR_ERR_BUNDLE_HEADER, "bundle_header") \
    X(WHIR_ERR_BUNDLE_TRUNCATED, "bundle_truncated") \
    X(WHIR_ERR_BUNDLE_MANIFEST, "bundle_manifest") \
    X(WHIR_ERR_BUNDLE_SIGNATURE, "bundle_signature") \
    X(WHIR_ERR_BUNDLE_PART_HASH, "bundle_part_hash") \
    X(WHIR_ERR_BUNDLE_COUNTER, "bundle_counter") \
    X(WHIR_ERR_BUNDLE_HARDWARE, "bundle_hardware") \
    X(WHIR_ERR_BUNDLE_FEATURES, "bundle_features") \
    X(WHIR_ERR_BUNDLE_SENSOR, "bundle_sensor") \
    X(WHIR_ERR_BUNDLE_GOLDEN, "bundle_golden") \
    X(WHIR_ERR_BUNDLE_KERNELS, "bundle_kernels") \
    X(WHIR_ERR_BUNDLE_SHADOW, "bundle_shadow") \
    X(WHIR_ERR_NN_SCHEMA, "nn_schema") \
    X(WHIR_ERR_NN_OP, "nn_op") \
    X(WHIR_ERR_NN_TYPE, "nn_type") \
    X(WHIR_ERR_NN_SHAPE, "nn_shape") \
    X(WHIR_ERR_NN_QUANT, "nn_quant") \
    X(WHIR_ERR_NN_OPTION, "nn_option") \
    X(WHIR_ERR_NN_ARENA, "nn_arena") \
    X(WHIR_ERR_NN_ENGINE, "nn_engine") \
    X(WHIR_ERR_NN_PLAN, "nn_plan") \
    X(WHIR_ERR_SENSOR_BUS, "sensor_bus") \
    X(WHIR_ERR_SENSOR_IDENTITY, "sensor_identity") \
    X(WHIR_ERR_SENSOR_SETTING, "sensor_setting") \
    X(WHIR_ERR_SENSOR_RATE, "sensor_rate") \
    X(WHIR_ERR_SENSOR_RANGE, "sensor_range") \
    X(WHIR_ERR_SENSOR_OVERRUN, "sensor_overrun") \
    X(WHIR_ERR_SENSOR_SILENT, "sensor_silent") \
    X(WHIR_ERR_SENSOR_STUCK, "sensor_stuck") \
    X(WHIR_ERR_SENSOR_SELF_TEST, "sensor_self_test") \
    X(WHIR_ERR_SENSOR_MOUNTING, "sensor_mounting") \
    X(WHIR_ERR_FIRMWARE_HEADER, "firmware_header") \
    X(WHIR_ERR_FIRMWARE_SIGNATURE, "firmware_signature") \
    X(WHIR_ERR_FIRMWARE_HARDWARE, "firmware_hardware") \
    X(WHIR_ERR_FIRMWARE_COUNTER, "firmware_counter") \
    X(WHIR_ERR_FIRMWARE_VERSION, "firmware_version") \
    X(WHIR_ERR_FIRMWARE_MODEL, "firmware_model") \
    X(WHIR_ERR_FIRMWARE_IMAGE, "firmware_image") \
    X(WHIR_ERR_FIRMWARE_UNPROVEN, "firmware_unproven")

/* Limits. */
#define WHIR_NAME_NAME_MAX_BYTES 32
#define WHIR_NAME_CLASS_NAME_MAX_BYTES 23
#define WHIR_NAME_MODEL_NAME_MAX_BYTES 31
#define WHIR_NAME_MODEL_VERSION_MAX_BYTES 15
#define WHIR_NAME_HARDWARE_CLASS_MAX_BYTES 15
#define WHIR_WINDOW_SAMPLES_MIN 64
#define WHIR_WINDOW_SAMPLES_MAX 1024
#define WHIR_WINDOW_SAMPLES_DEFAULT 256
#define WHIR_WINDOW_CHANNELS_MAX 3
#define WHIR_WINDOW_HOP_MIN 1
#define WHIR_VERDICT_WINDOWS_MAX 8
#define WHIR_VERDICT_SPAN_MAX_MS 2048
#define WHIR_VERDICT_RATE_MAX_HZ 10
#define WHIR_VERDICT_CLASSES_MAX 8
#define WHIR_DECIDE_RAISE_PERMILLE_DEFAULT 800
#define WHIR_DECIDE_CLEAR_PERMILLE_DEFAULT 500
#define WHIR_DECIDE_RAISE_COUNT_DEFAULT 3
#define WHIR_DECIDE_RAISE_OF_DEFAULT 5
#define WHIR_DECIDE_CLEAR_COUNT_DEFAULT 5
#define WHIR_DECIDE_OF_MAX 8
#define WHIR_DECIDE_REALERT_INTERVAL_MS_DEFAULT 3600000
#define WHIR_DECIDE_WARNING_AFTER_MS_DEFAULT 10000
#define WHIR_DECIDE_CRITICAL_AFTER_MS_DEFAULT 60000
#define WHIR_DECIDE_PARTS 10
#define WHIR_DECIDE_PLANT_RUN_UP_MS 60000
#define WHIR_DECIDE_PLANT_PART_MS 60000
#define WHIR_DECIDE_PLANT_RAISE_PERCENT 80
#define WHIR_DECIDE_PLANT_CLEAR_PERCENT 20
#define WHIR_DECIDE_PLANT_WARNING_AFTER_MS 86400000
#define WHIR_DECIDE_PLANT_CRITICAL_AFTER_MS 604800000
#define WHIR_DECIDE_HIGH_PART_MS 6000
#define WHIR_SENSOR_FAULT_AFTER_MS 5000
#define WHIR_SENSOR_SLOW_PERCENT 90
#define WHIR_SENSOR_SLOW_SPAN_MS 1000
#define WHIR_CONDITION_INPUT_RATE_MAX_MHZ 27000000
#define WHIR_CONDITION_INPUT_RATE_MIN_MHZ 10000
#define WHIR_FEATURE_EXTRACTOR_VERSION 1
#define WHIR_FEATURE_BANDS_PER_AXIS_MAX 64
#define WHIR_FEATURE_COUNT_MAX 256
#define WHIR_NOVELTY_FARTHEST 4
#define WHIR_NOVELTY_SPREAD_MIN_Q8 256
#define WHIR_NOVELTY_WINDOWS_MIN 64
#define WHIR_NOVELTY_LIMIT_PERCENT 150
#define WHIR_NOVELTY_LIMIT_MIN_Q8 512
#define WHIR_NOVELTY_UNKNOWN_PERMILLE 1000
#define WHIR_NOVELTY_LEARN_S_DEFAULT 86400
#define WHIR_NOVELTY_LEARN_S_MAX 604800
#define WHIR_MESSAGE_VERSION 1
#define WHIR_MESSAGE_COMMAND_MAX_BYTES 1024
#define WHIR_MESSAGE_MESSAGE_MAX_BYTES 1024
#define WHIR_MESSAGE_COMMAND_ARRAY_MAX 64
#define WHIR_MESSAGE_COMMAND_ID_MAX_BYTES 39
#define WHIR_MESSAGE_URL_MAX_BYTES 511
#define WHIR_MESSAGE_SETTING_KEY_MAX_BYTES 15
#define WHIR_MESSAGE_SETTING_VALUE_MAX_BYTES 767
#define WHIR_MESSAGE_TELEMETRY_INTERVAL_MS_DEFAULT 60000
#define WHIR_MESSAGE_STATUS_INTERVAL_MS_DEFAULT 60000
#define WHIR_MESSAGE_RESEND_INTERVAL_MS_DEFAULT 5000
#define WHIR_MESSAGE_RECEIPT_MAX_SEQ 64
#define WHIR_MESSAGE_SEQ_JUMP_MAX 1000000
#define WHIR_CAPTURE_SAMPLES 16384
#define WHIR_CAPTURE_PRE_MS 1000
#define WHIR_CAPTURE_FIRST_AFTER_MS 3600000
#define WHIR_CAPTURE_INTERVAL_MS 86400000
#define WHIR_CAPTURE_SEND_INTERVAL_MS 50
#define WHIR_CAPTURE_RESEND_AFTER_MS 60000
#define WHIR_CAPTURE_SENDS_MAX 4
#define WHIR_POWER_EVERY_MIN_MS 60000
#define WHIR_POWER_LISTEN_MAX_MS 30000
#define WHIR_POWER_TELL_MAX_MS 60000
#define WHIR_POWER_COMMANDS_MS 3000
#define WHIR_POWER_AFTER_BOOT_MS 120000
#define WHIR_SETTINGS_TRIAL_MS 600000
#define WHIR_BUNDLE_SLOT_BYTES 262144
#define WHIR_BUNDLE_SLOT_ALIGN_BYTES 65536
#define WHIR_BUNDLE_GOLDEN_SHARE_PERCENT 25
#define WHIR_BUNDLE_KEYS_MAX 4
#define WHIR_BUNDLE_TRIAL_DEADLINE_MS_DEFAULT 600000
#define WHIR_FLASH_WRITE_CALL_MAX_BYTES 256
#define WHIR_FLASH_WRITE_SIZE_MAX_BYTES 32

/* Feature parameters: tags of the manifest, with the range that this build accepts. */
#define WHIR_PARAM_EXTRACTOR_VERSION 0x0100 /* u16: version of the feature formulas; the build's own must be equal */
#define WHIR_PARAM_EXTRACTOR_VERSION_MIN 1
#define WHIR_PARAM_EXTRACTOR_VERSION_MAX 1
#define WHIR_PARAM_RATE_HZ 0x0101 /* u32: sampling rate of the window, after conditioning, Hz */
#define WHIR_PARAM_RATE_HZ_MIN 100
#define WHIR_PARAM_RATE_HZ_MAX 27000
#define WHIR_PARAM_BANDWIDTH_HZ 0x0102 /* u32: the sensor must hear at least up to here, Hz */
#define WHIR_PARAM_BANDWIDTH_HZ_MIN 10
#define WHIR_PARAM_BANDWIDTH_HZ_MAX 13500
#define WHIR_PARAM_RANGE_MG 0x0103 /* u32: full scale that the sensor must have at least, thousandths of `unit` */
#define WHIR_PARAM_RANGE_MG_MIN 1
#define WHIR_PARAM_RANGE_MG_MAX 1000000
#define WHIR_PARAM_NOISE_UG_RTHZ_MAX 0x0104 /* u32: noise density that the sensor may have at most, millionths of `unit` per root hertz */
#define WHIR_PARAM_NOISE_UG_RTHZ_MAX_MIN 1
#define WHIR_PARAM_NOISE_UG_RTHZ_MAX_MAX 1000000
#define WHIR_PARAM_CHANNELS 0x0105 /* u8: axes in the window, in the order of the sensor's own x, y, z */
#define WHIR_PARAM_CHANNELS_MIN 1
#define WHIR_PARAM_CHANNELS_MAX 3
#define WHIR_PARAM_AXES 0x0106 /* u8: bit mask of the sensor axes used, bit 0 = x; its population count is `channels` */
#define WHIR_PARAM_AXES_MIN 1
#define WHIR_PARAM_AXES_MAX 7
#define WHIR_PARAM_UNIT 0x0107 /* u8: unit of a sample (enum unit) */
#define WHIR_PARAM_UNIT_MIN 1
#define WHIR_PARAM_UNIT_MAX 3
#define WHIR_PARAM_LSB_NANO 0x0108 /* u32: one count of the int16 window, in 1e-9 `unit`; conditioning scales the sensor's counts to it */
#define WHIR_PARAM_LSB_NANO_MIN 1
#define WHIR_PARAM_LSB_NANO_MAX 100000000
#define WHIR_PARAM_ENVELOPE_AXES 0x0109 /* u8: bit mask of those `axes` of which the window holds the envelope, not the acceleration itself (left out: none) */
#define WHIR_PARAM_ENVELOPE_AXES_MIN 1
#define WHIR_PARAM_ENVELOPE_AXES_MAX 7
#define WHIR_PARAM_ENVELOPE_LOW_HZ 0x010a /* u32: lower end of the band whose envelope it is, Hz; at least `rate_hz` (with `envelope_axes` only) */
#define WHIR_PARAM_ENVELOPE_LOW_HZ_MIN 100
#define WHIR_PARAM_ENVELOPE_LOW_HZ_MAX 13500
#define WHIR_PARAM_ENVELOPE_HIGH_HZ 0x010b /* u32: its upper end, Hz; at most `bandwidth_hz` (with `envelope_axes` only) */
#define WHIR_PARAM_ENVELOPE_HIGH_HZ_MIN 100
#define WHIR_PARAM_ENVELOPE_HIGH_HZ_MAX 13500
#define WHIR_PARAM_ACROSS_AXES 0x010c /* u8: features of all axes together, which a turned sensor does not change (enum across_axes; kind bands; left out: each axis has its own) */
#define WHIR_PARAM_ACROSS_AXES_MIN 1
#define WHIR_PARAM_ACROSS_AXES_MAX 1
#define WHIR_PARAM_WINDOW_SAMPLES 0x0110 /* u16: samples per window and axis, a power of two */
#define WHIR_PARAM_WINDOW_SAMPLES_MIN 64
#define WHIR_PARAM_WINDOW_SAMPLES_MAX 1024
#define WHIR_PARAM_HOP_SAMPLES 0x0111 /* u16: samples between the starts of two windows */
#define WHIR_PARAM_HOP_SAMPLES_MIN 1
#define WHIR_PARAM_HOP_SAMPLES_MAX 4096
#define WHIR_PARAM_VERDICT_WINDOWS 0x0112 /* u8: a verdict is the mean over at most so many windows, and 2.048 s */
#define WHIR_PARAM_VERDICT_WINDOWS_MIN 1
#define WHIR_PARAM_VERDICT_WINDOWS_MAX 8
#define WHIR_PARAM_KIND 0x0120 /* u8: feature kind (enum feature_kind) */
#define WHIR_PARAM_KIND_MIN 1
#define WHIR_PARAM_KIND_MAX 2
#define WHIR_PARAM_LEVEL 0x0121 /* u8: absolute or relative level (enum level) */
#define WHIR_PARAM_LEVEL_MIN 0
#define WHIR_PARAM_LEVEL_MAX 1
#define WHIR_PARAM_STATS 0x0122 /* u8: bit mask of per-axis statistics: 1 RMS, 2 peak, 4 crest factor, 8 kurtosis */
#define WHIR_PARAM_STATS_MIN 0
#define WHIR_PARAM_STATS_MAX 15
#define WHIR_PARAM_BAND_EDGES_BINS 0x0123 /* u16[]: n + 1 ascending FFT bins; band i is the bins edge[i] .. edge[i+1]-1 (kind bands; empty for raw) */
#define WHIR_PARAM_ORDER_EDGES_Q8 0x0124 /* u16[]: n + 1 ascending edges in orders, turns of the shaft, 256 = 1: order band i lies from edge[i] to edge[i+1] (kind bands; without order bands the tag is left out) */
#define WHIR_PARAM_ORDER_LINES_Q8 0x0125 /* u16[]: ascending orders, 256 = 1: how far the power at each stands out of what lies around it (kind bands; without lines the tag is left out) */
#define WHIR_PARAM_OFFSET 0x0130 /* i32[]: per feature (bands: axis-major; raw: per channel): input = clamp8(((feature - offset) * gain_q16 + 2^15) >> 16) */
#define WHIR_PARAM_GAIN_Q16 0x0131 /* u32[]: see `offset` */

/* Bundle layout. */
#define WHIR_BUNDLE_MAGIC 0x52494857u
#define WHIR_BUNDLE_FORMAT_VERSION 1
#define WHIR_BUNDLE_HEADER_BYTES 32
#define WHIR_BUNDLE_SIGNATURE_BYTES 64
#define WHIR_BUNDLE_PART_ALIGN_BYTES 16
#define WHIR_BUNDLE_OFFSET_MAGIC 0 /* u32 */
#define WHIR_BUNDLE_OFFSET_FORMAT_VERSION 4 /* u16 */
#define WHIR_BUNDLE_OFFSET_HEADER_BYTES 6 /* u16 */
#define WHIR_BUNDLE_OFFSET_TOTAL_BYTES 8 /* u32 */
#define WHIR_BUNDLE_OFFSET_MANIFEST_BYTES 12 /* u32 */
#define WHIR_BUNDLE_OFFSET_KEY_ID 16 /* u32 */
#define WHIR_BUNDLE_OFFSET_RESERVED 20 /* u32 */
#define WHIR_BUNDLE_OFFSET_RESERVED2 24 /* u32 */
#define WHIR_BUNDLE_OFFSET_CRC32 28 /* u32 */
#define WHIR_TAG_MODEL_NAME 0x0001 /* str */
#define WHIR_TAG_MODEL_VERSION 0x0002 /* str */
#define WHIR_TAG_SECURITY_COUNTER 0x0003 /* u32 */
#define WHIR_TAG_HARDWARE_CLASS 0x0004 /* str */
#define WHIR_TAG_CLASSES 0x0005 /* strs */
#define WHIR_TAG_FEATURES_HASH 0x0006 /* bytes32 */
#define WHIR_TAG_ARENA_BYTES 0x0007 /* u32 */
#define WHIR_TAG_KERNEL_SETS 0x0008 /* u32 */
#define WHIR_TAG_SCOPE 0x0009 /* u8 */
#define WHIR_TAG_RAISE_PERMILLE 0x0010 /* u16 */
#define WHIR_TAG_CLEAR_PERMILLE 0x0011 /* u16 */
#define WHIR_TAG_RAISE_COUNT 0x0012 /* u8 */
#define WHIR_TAG_RAISE_OF 0x0013 /* u8 */
#define WHIR_TAG_OFF_RMS_COUNTS 0x0014 /* u16 */
#define WHIR_TAG_PART 0x0200 /* part */

/* unit */
#define WHIR_UNIT_G 1
#define WHIR_UNIT_MPS2 2
#define WHIR_UNIT_VOLT 3
#define WHIR_UNIT_NAMES(X) \
    X(WHIR_UNIT_G, "g") \
    X(WHIR_UNIT_MPS2, "mps2") \
    X(WHIR_UNIT_VOLT, "volt")

/* feature_kind */
#define WHIR_FEATURE_KIND_RAW 1
#define WHIR_FEATURE_KIND_BANDS 2
#define WHIR_FEATURE_KIND_NAMES(X) \
    X(WHIR_FEATURE_KIND_RAW, "raw") \
    X(WHIR_FEATURE_KIND_BANDS, "bands")

/* level */
#define WHIR_LEVEL_ABSOLUTE 0
#define WHIR_LEVEL_RELATIVE 1
#define WHIR_LEVEL_NAMES(X) \
    X(WHIR_LEVEL_ABSOLUTE, "absolute") \
    X(WHIR_LEVEL_RELATIVE, "relative")

/* across_axes */
#define WHIR_ACROSS_AXES_SUM 1
#define WHIR_ACROSS_AXES_NAMES(X) \
    X(WHIR_ACROSS_AXES_SUM, "sum")

/* part_kind */
#define WHIR_PART_KIND_MODEL 1
#define WHIR_PART_KIND_GOLDEN_TENSORS 2
#define WHIR_PART_KIND_GOLDEN_WINDOWS 3
#define WHIR_PART_KIND_EVALUATION 4
#define WHIR_PART_KIND_NAMES(X) \
    X(WHIR_PART_KIND_MODEL, "model") \
    X(WHIR_PART_KIND_GOLDEN_TENSORS, "golden_tensors") \
    X(WHIR_PART_KIND_GOLDEN_WINDOWS, "golden_windows") \
    X(WHIR_PART_KIND_EVALUATION, "evaluation")

/* kernel_set */
#define WHIR_KERNEL_SET_WHIR_NN 1
#define WHIR_KERNEL_SET_TFLM_REFERENCE 2
#define WHIR_KERNEL_SET_NAMES(X) \
    X(WHIR_KERNEL_SET_WHIR_NN, "whir_nn") \
    X(WHIR_KERNEL_SET_TFLM_REFERENCE, "tflm_reference")

/* scope */
#define WHIR_SCOPE_ANY_MACHINE 1
#define WHIR_SCOPE_TRAINING_RIG 2
#define WHIR_SCOPE_NAMES(X) \
    X(WHIR_SCOPE_ANY_MACHINE, "any_machine") \
    X(WHIR_SCOPE_TRAINING_RIG, "training_rig")

/* capture_trigger */
#define WHIR_CAPTURE_TRIGGER_COMMAND 0
#define WHIR_CAPTURE_TRIGGER_ALERT 1
#define WHIR_CAPTURE_TRIGGER_DAILY 2
#define WHIR_CAPTURE_TRIGGER_NAMES(X) \
    X(WHIR_CAPTURE_TRIGGER_COMMAND, "command") \
    X(WHIR_CAPTURE_TRIGGER_ALERT, "alert") \
    X(WHIR_CAPTURE_TRIGGER_DAILY, "daily")

/* node_state */
#define WHIR_NODE_STATE_OK 0
#define WHIR_NODE_STATE_NO_MODEL 1
#define WHIR_NODE_STATE_SENSOR_FAULT 2
#define WHIR_NODE_STATE_MACHINE_OFF 3
#define WHIR_NODE_STATE_LOST 4
#define WHIR_NODE_STATE_STOPPED 5
#define WHIR_NODE_STATE_NO_SPEED 6
#define WHIR_NODE_STATE_NAMES(X) \
    X(WHIR_NODE_STATE_OK, "ok") \
    X(WHIR_NODE_STATE_NO_MODEL, "no_model") \
    X(WHIR_NODE_STATE_SENSOR_FAULT, "sensor_fault") \
    X(WHIR_NODE_STATE_MACHINE_OFF, "machine_off") \
    X(WHIR_NODE_STATE_LOST, "lost") \
    X(WHIR_NODE_STATE_STOPPED, "stopped") \
    X(WHIR_NODE_STATE_NO_SPEED, "no_speed")

/* alert_state */
#define WHIR_ALERT_STATE_PENDING 1
#define WHIR_ALERT_STATE_ACTIVE 2
#define WHIR_ALERT_STATE_CLEARED 3
#define WHIR_ALERT_STATE_NAMES(X) \
    X(WHIR_ALERT_STATE_PENDING, "pending") \
    X(WHIR_ALERT_STATE_ACTIVE, "active") \
    X(WHIR_ALERT_STATE_CLEARED, "cleared")

/* profile */
#define WHIR_PROFILE_PLANT 0
#define WHIR_PROFILE_FAST 1
#define WHIR_PROFILE_NAMES(X) \
    X(WHIR_PROFILE_PLANT, "plant") \
    X(WHIR_PROFILE_FAST, "fast")

/* watch */
#define WHIR_WATCH_UNKNOWN 0
#define WHIR_WATCH_VELOCITY 1
#define WHIR_WATCH_VELOCITY_CHANGE 2
#define WHIR_WATCH_NAMES(X) \
    X(WHIR_WATCH_UNKNOWN, "unknown") \
    X(WHIR_WATCH_VELOCITY, "velocity") \
    X(WHIR_WATCH_VELOCITY_CHANGE, "velocity_change")

/* severity */
#define WHIR_SEVERITY_NONE 0
#define WHIR_SEVERITY_ADVISORY 1
#define WHIR_SEVERITY_WARNING 2
#define WHIR_SEVERITY_CRITICAL 3
#define WHIR_SEVERITY_NAMES(X) \
    X(WHIR_SEVERITY_NONE, "none") \
    X(WHIR_SEVERITY_ADVISORY, "advisory") \
    X(WHIR_SEVERITY_WARNING, "warning") \
    X(WHIR_SEVERITY_CRITICAL, "critical")

/* power_mode */
#define WHIR_POWER_MODE_CONTINUOUS 0
#define WHIR_POWER_MODE_INTERVAL 1
#define WHIR_POWER_MODE_SLEEP 2
#define WHIR_POWER_MODE_MOTION 3
#define WHIR_POWER_MODE_NAMES(X) \
    X(WHIR_POWER_MODE_CONTINUOUS, "continuous") \
    X(WHIR_POWER_MODE_INTERVAL, "interval") \
    X(WHIR_POWER_MODE_SLEEP, "sleep") \
    X(WHIR_POWER_MODE_MOTION, "motion")

/* ack_result */
#define WHIR_ACK_RESULT_OK 0
#define WHIR_ACK_RESULT_ACCEPTED 1
#define WHIR_ACK_RESULT_REFUSED 2
#define WHIR_ACK_RESULT_EXPIRED 3
#define WHIR_ACK_RESULT_NAMES(X) \
    X(WHIR_ACK_RESULT_OK, "ok") \
    X(WHIR_ACK_RESULT_ACCEPTED, "accepted") \
    X(WHIR_ACK_RESULT_REFUSED, "refused") \
    X(WHIR_ACK_RESULT_EXPIRED, "expired")

/* event_kind */
#define WHIR_EVENT_KIND_BOOT 1
#define WHIR_EVENT_KIND_UPDATE_STARTED 2
#define WHIR_EVENT_KIND_UPDATE_REFUSED 3
#define WHIR_EVENT_KIND_UPDATE_TRIAL 4
#define WHIR_EVENT_KIND_UPDATE_CONFIRMED 5
#define WHIR_EVENT_KIND_UPDATE_REVERTED 6
#define WHIR_EVENT_KIND_ROLLBACK_DONE 7
#define WHIR_EVENT_KIND_SENSOR_FAULT 8
#define WHIR_EVENT_KIND_SPOOL_DROPPED 9
#define WHIR_EVENT_KIND_CLOCK_SET 10
#define WHIR_EVENT_KIND_BASELINE_LEARNED 11
#define WHIR_EVENT_KIND_BASELINE_FAILED 12
#define WHIR_EVENT_KIND_FIRMWARE_STARTED 13
#define WHIR_EVENT_KIND_FIRMWARE_REFUSED 14
#define WHIR_EVENT_KIND_FIRMWARE_TRIAL 15
#define WHIR_EVENT_KIND_FIRMWARE_CONFIRMED 16
#define WHIR_EVENT_KIND_FIRMWARE_REVERTED 17
#define WHIR_EVENT_KIND_CRASH 18
#define WHIR_EVENT_KIND_SETTINGS_KEPT 19
#define WHIR_EVENT_KIND_SETTINGS_REVERTED 20
#define WHIR_EVENT_KIND_CERTIFICATE_REQUEST 21
#define WHIR_EVENT_KIND_UPDATE_SHADOW 30
#define WHIR_EVENT_KIND_NAMES(X) \
    X(WHIR_EVENT_KIND_BOOT, "boot") \
    X(WHIR_EVENT_KIND_UPDATE_STARTED, "update_started") \
    X(WHIR_EVENT_KIND_UPDATE_REFUSED, "update_refused") \
    X(WHIR_EVENT_KIND_UPDATE_TRIAL, "update_trial") \
    X(WHIR_EVENT_KIND_UPDATE_CONFIRMED, "update_confirmed") \
    X(WHIR_EVENT_KIND_UPDATE_REVERTED, "update_reverted") \
    X(WHIR_EVENT_KIND_ROLLBACK_DONE, "rollback_done") \
    X(WHIR_EVENT_KIND_SENSOR_FAULT, "sensor_fault") \
    X(WHIR_EVENT_KIND_SPOOL_DROPPED, "spool_dropped") \
    X(WHIR_EVENT_KIND_CLOCK_SET, "clock_set") \
    X(WHIR_EVENT_KIND_BASELINE_LEARNED, "baseline_learned") \
    X(WHIR_EVENT_KIND_BASELINE_FAILED, "baseline_failed") \
    X(WHIR_EVENT_KIND_FIRMWARE_STARTED, "firmware_started") \
    X(WHIR_EVENT_KIND_FIRMWARE_REFUSED, "firmware_refused") \
    X(WHIR_EVENT_KIND_FIRMWARE_TRIAL, "firmware_trial") \
    X(WHIR_EVENT_KIND_FIRMWARE_CONFIRMED, "firmware_confirmed") \
    X(WHIR_EVENT_KIND_FIRMWARE_REVERTED, "firmware_reverted") \
    X(WHIR_EVENT_KIND_CRASH, "crash") \
    X(WHIR_EVENT_KIND_SETTINGS_KEPT, "settings_kept") \
    X(WHIR_EVENT_KIND_SETTINGS_REVERTED, "settings_reverted") \
    X(WHIR_EVENT_KIND_CERTIFICATE_REQUEST, "certificate_request") \
    X(WHIR_EVENT_KIND_UPDATE_SHADOW, "update_shadow")

/* quality */
#define WHIR_QUALITY_STUCK 1
#define WHIR_QUALITY_CLIPPED 2
#define WHIR_QUALITY_GAP 4
#define WHIR_QUALITY_SLOW 8
#define WHIR_QUALITY_OFF 16
#define WHIR_QUALITY_NO_MODEL 32
#define WHIR_QUALITY_STARTING 64
#define WHIR_QUALITY_NO_SPEED 128
#define WHIR_QUALITY_NAMES(X) \
    X(WHIR_QUALITY_STUCK, "stuck") \
    X(WHIR_QUALITY_CLIPPED, "clipped") \
    X(WHIR_QUALITY_GAP, "gap") \
    X(WHIR_QUALITY_SLOW, "slow") \
    X(WHIR_QUALITY_OFF, "off") \
    X(WHIR_QUALITY_NO_MODEL, "no_model") \
    X(WHIR_QUALITY_STARTING, "starting") \
    X(WHIR_QUALITY_NO_SPEED, "no_speed")

/* machine_group */
#define WHIR_MACHINE_GROUP_UNSET 0
#define WHIR_MACHINE_GROUP_GROUP1 1
#define WHIR_MACHINE_GROUP_GROUP2 2
#define WHIR_MACHINE_GROUP_CLASS1 3
#define WHIR_MACHINE_GROUP_NAMES(X) \
    X(WHIR_MACHINE_GROUP_UNSET, "unset") \
    X(WHIR_MACHINE_GROUP_GROUP1, "group1") \
    X(WHIR_MACHINE_GROUP_GROUP2, "group2") \
    X(WHIR_MACHINE_GROUP_CLASS1, "class1")

/* foundation */
#define WHIR_FOUNDATION_UNSET 0
#define WHIR_FOUNDATION_RIGID 1
#define WHIR_FOUNDATION_FLEXIBLE 2
#define WHIR_FOUNDATION_NAMES(X) \
    X(WHIR_FOUNDATION_UNSET, "unset") \
    X(WHIR_FOUNDATION_RIGID, "rigid") \
    X(WHIR_FOUNDATION_FLEXIBLE, "flexible")

/* zone */
#define WHIR_ZONE_NONE 0
#define WHIR_ZONE_A 1
#define WHIR_ZONE_B 2
#define WHIR_ZONE_C 3
#define WHIR_ZONE_D 4
#define WHIR_ZONE_NAMES(X) \
    X(WHIR_ZONE_NONE, "none") \
    X(WHIR_ZONE_A, "A") \
    X(WHIR_ZONE_B, "B") \
    X(WHIR_ZONE_C, "C") \
    X(WHIR_ZONE_D, "D")

/* zone_reason */
#define WHIR_ZONE_REASON_GIVEN 0
#define WHIR_ZONE_REASON_MACHINE_UNSET 1
#define WHIR_ZONE_REASON_NO_STANDARD 2
#define WHIR_ZONE_REASON_UNCALIBRATED 3
#define WHIR_ZONE_REASON_NOT_ACCELERATION 4
#define WHIR_ZONE_REASON_BAND_NOT_COVERED 5
#define WHIR_ZONE_REASON_NOT_MEASURED 6
#define WHIR_ZONE_REASON_BAD_SENSOR 7
#define WHIR_ZONE_REASON_OFF 8
#define WHIR_ZONE_REASON_NAMES(X) \
    X(WHIR_ZONE_REASON_GIVEN, "given") \
    X(WHIR_ZONE_REASON_MACHINE_UNSET, "machine_unset") \
    X(WHIR_ZONE_REASON_NO_STANDARD, "no_standard") \
    X(WHIR_ZONE_REASON_UNCALIBRATED, "uncalibrated") \
    X(WHIR_ZONE_REASON_NOT_ACCELERATION, "not_acceleration") \
    X(WHIR_ZONE_REASON_BAND_NOT_COVERED, "band_not_covered") \
    X(WHIR_ZONE_REASON_NOT_MEASURED, "not_measured") \
    X(WHIR_ZONE_REASON_BAD_SENSOR, "bad_sensor") \
    X(WHIR_ZONE_REASON_OFF, "off")

/* Severity zones: X(group, foundation, over_w, to_w, ab_um_s, bc_um_s, cd_um_s). */
#define WHIR_ZONE_BAND_LOW_HZ 10
#define WHIR_ZONE_BAND_HIGH_HZ 1000
#define WHIR_ZONE_CHANGE_PERCENT 25
#define WHIR_ZONE_LIMITS(X) \
    X(WHIR_MACHINE_GROUP_GROUP1, WHIR_FOUNDATION_RIGID, 300000, 50000000, 2300, 4500, 7100) \
    X(WHIR_MACHINE_GROUP_GROUP1, WHIR_FOUNDATION_FLEXIBLE, 300000, 50000000, 3500, 7100, 11000) \
    X(WHIR_MACHINE_GROUP_GROUP2, WHIR_FOUNDATION_RIGID, 15000, 300000, 1400, 2800, 4500) \
    X(WHIR_MACHINE_GROUP_GROUP2, WHIR_FOUNDATION_FLEXIBLE, 15000, 300000, 2300, 4500, 7100) \
    X(WHIR_MACHINE_GROUP_CLASS1, WHIR_FOUNDATION_RIGID, 0, 15000, 710, 1800, 4500) \
    X(WHIR_MACHINE_GROUP_CLASS1, WHIR_FOUNDATION_FLEXIBLE, 0, 15000, 710, 1800, 4500)

/* A chunk of a capture. */
#define WHIR_CAPTURE_MAGIC 0x50414357u
#define WHIR_CAPTURE_FORMAT_VERSION 1
#define WHIR_CAPTURE_HEADER_BYTES 104
#define WHIR_CAPTURE_OFFSET_MAGIC 0 /* u32 */
#define WHIR_CAPTURE_OFFSET_FORMAT_VERSION 4 /* u16 */
#define WHIR_CAPTURE_OFFSET_HEADER_BYTES 6 /* u16 */
#define WHIR_CAPTURE_OFFSET_BOOT 8 /* u32 */
#define WHIR_CAPTURE_OFFSET_SEQ 12 /* u32 */
#define WHIR_CAPTURE_OFFSET_TS 16 /* u64 */
#define WHIR_CAPTURE_OFFSET_SYNCED 24 /* u8 */
#define WHIR_CAPTURE_OFFSET_TRIGGER 25 /* u8 */
#define WHIR_CAPTURE_OFFSET_UNIT 26 /* u8 */
#define WHIR_CAPTURE_OFFSET_CHANNELS 27 /* u8 */
#define WHIR_CAPTURE_OFFSET_RATE_MHZ 28 /* u32 */
#define WHIR_CAPTURE_OFFSET_LSB_NANO 32 /* u32 */
#define WHIR_CAPTURE_OFFSET_CAPTURE_BOOT 36 /* u32 */
#define WHIR_CAPTURE_OFFSET_CAPTURE 40 /* u32 */
#define WHIR_CAPTURE_OFFSET_SAMPLES 44 /* u32 */
#define WHIR_CAPTURE_OFFSET_PRE 48 /* u32 */
#define WHIR_CAPTURE_OFFSET_CHUNK 52 /* u16 */
#define WHIR_CAPTURE_OFFSET_CHUNKS 54 /* u16 */
#define WHIR_CAPTURE_OFFSET_FIRST 56 /* u32 */
#define WHIR_CAPTURE_OFFSET_OCCURRENCE 60 /* u32 */
#define WHIR_CAPTURE_OFFSET_ACTION 64 /* text40 */

/* A firmware package. */
#define WHIR_FIRMWARE_MAGIC 0x46524857u
#define WHIR_FIRMWARE_FORMAT_VERSION 1
#define WHIR_FIRMWARE_HEADER_BYTES 200
#define WHIR_FIRMWARE_OFFSET_MAGIC 0 /* u32 */
#define WHIR_FIRMWARE_OFFSET_FORMAT_VERSION 4 /* u16 */
#define WHIR_FIRMWARE_OFFSET_HEADER_BYTES 6 /* u16 */
#define WHIR_FIRMWARE_OFFSET_IMAGE_BYTES 8 /* u32 */
#define WHIR_FIRMWARE_OFFSET_KEY_ID 12 /* u32 */
#define WHIR_FIRMWARE_OFFSET_SECURITY_COUNTER 16 /* u32 */
#define WHIR_FIRMWARE_OFFSET_EXTRACTOR_MIN 20 /* u16 */
#define WHIR_FIRMWARE_OFFSET_EXTRACTOR_MAX 22 /* u16 */
#define WHIR_FIRMWARE_OFFSET_HARDWARE_CLASS 24 /* text16 */
#define WHIR_FIRMWARE_OFFSET_VERSION 40 /* text32 */
#define WHIR_FIRMWARE_OFFSET_VERSION_MIN 72 /* text32 */
#define WHIR_FIRMWARE_OFFSET_IMAGE_SHA256 104 /* bytes32 */
#define WHIR_FIRMWARE_OFFSET_SIGNATURE 136 /* bytes64 */

#define WHIR_TOPIC_PREFIX "whir/v1"
#define WHIR_TOPIC_STATUS "status"
#define WHIR_TOPIC_TELEMETRY "telemetry"
#define WHIR_TOPIC_ALERT "alert"
#define WHIR_TOPIC_EVENT "event"
#define WHIR_TOPIC_CAPTURE "capture"
#define WHIR_TOPIC_CMD "cmd"
#define WHIR_TOPIC_ACK "ack"
#define WHIR_COMMAND_RECEIPT "receipt"
#define WHIR_COMMAND_UPDATE "update"
#define WHIR_COMMAND_FIRMWARE "firmware"
#define WHIR_COMMAND_SETTING "setting"
#define WHIR_COMMAND_RENEW "renew"
#define WHIR_COMMAND_ROLLBACK "rollback"
#define WHIR_COMMAND_MEASURE "measure"
#define WHIR_COMMAND_COMMISSION "commission"
#define WHIR_COMMAND_CAPTURE "capture"
#define WHIR_COMMAND_THRESHOLDS "thresholds"
#define WHIR_COMMAND_IDENTIFY "identify"
#define WHIR_COMMAND_RESTART "restart"
#define WHIR_COMMAND_FACTORY_RESET "factory_reset"

/* What the factory writes into NVS, and the serial console. */
#define WHIR_NVS_NVS_NAMESPACE "whir"
#define WHIR_NVS_WIFI_SSID "wifi_ssid" /* string: network name */
#define WHIR_NVS_WIFI_PASSWORD "wifi_password" /* string: 8 to 63 characters, or empty for an open network */
#define WHIR_NVS_BROKER "broker" /* string: mqtts://host:port */
#define WHIR_NVS_FCTRY_NAMESPACE "identity"
#define WHIR_NVS_SERIAL "serial" /* string: serial number, as on the label */
#define WHIR_NVS_SITE "site" /* string: first name in the topics */
#define WHIR_NVS_NODE "node" /* string: second name in the topics */
#define WHIR_NVS_HARDWARE "hardware" /* string: hardware class */
#define WHIR_NVS_DEVELOPMENT "development" /* u8: 1: keys of a desk; a release build refuses to start with it */
#define WHIR_NVS_CERTIFICATE "certificate" /* blob: X.509 DER, subject CN is site/node */
#define WHIR_NVS_PRIVATE_KEY "private_key" /* blob: of the certificate, SEC1 DER, P-256 */
#define WHIR_NVS_BROKER_CA "broker_ca" /* blob: X.509 DER of the CA that signs the broker's certificate */
#define WHIR_NVS_BUNDLE_KEYS "bundle_keys" /* blob: up to four of key_id u32 little-endian and an uncompressed P-256 point of 65 bytes */
#define WHIR_CONSOLE_BAUD 115200
#define WHIR_CONSOLE_LINE_MAX_BYTES 1024
#define WHIR_CONSOLE_SAMPLES_MS 5000
#define WHIR_CONSOLE_NETWORK_MS 20000

#endif
