"""Generated from the TOML files in contracts/ by `make generate`; do not edit."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any, Final


class ErrorCode(IntEnum):
    """Codes of the core, negative as C returns them."""

    OK = 0
    ARG = -1
    SPACE = -2
    FLASH = -3
    FLASH_WORN = -4
    CRC = -5
    VERSION = -6
    STATE = -7
    BUSY = -8
    EXPIRED = -9
    JSON = -10
    COMMAND = -11
    DOWNLOAD = -12
    CERTIFICATE = -13
    BUNDLE_HEADER = -20
    BUNDLE_TRUNCATED = -21
    BUNDLE_MANIFEST = -22
    BUNDLE_SIGNATURE = -23
    BUNDLE_PART_HASH = -24
    BUNDLE_COUNTER = -25
    BUNDLE_HARDWARE = -26
    BUNDLE_FEATURES = -27
    BUNDLE_SENSOR = -28
    BUNDLE_GOLDEN = -29
    BUNDLE_KERNELS = -30
    BUNDLE_SHADOW = -31
    NN_SCHEMA = -40
    NN_OP = -41
    NN_TYPE = -42
    NN_SHAPE = -43
    NN_QUANT = -44
    NN_OPTION = -45
    NN_ARENA = -46
    NN_ENGINE = -47
    NN_PLAN = -48
    SENSOR_BUS = -60
    SENSOR_IDENTITY = -61
    SENSOR_SETTING = -62
    SENSOR_RATE = -63
    SENSOR_RANGE = -64
    SENSOR_OVERRUN = -65
    SENSOR_SILENT = -66
    SENSOR_STUCK = -67
    SENSOR_SELF_TEST = -68
    SENSOR_MOUNTING = -69
    FIRMWARE_HEADER = -80
    FIRMWARE_SIGNATURE = -81
    FIRMWARE_HARDWARE = -82
    FIRMWARE_COUNTER = -83
    FIRMWARE_VERSION = -84
    FIRMWARE_MODEL = -85
    FIRMWARE_IMAGE = -86
    FIRMWARE_UNPROVEN = -87


ERROR_TEXT: Final[dict[str, str]] = {
    "arg": "a caller broke the contract on the header",
    "space": "the buffer, slot or arena is too small; the needed size is reported",
    "flash": "the flash driver failed; its own code is kept",
    "flash_worn": "a unit that must be erased was found programmed",
    "crc": "a stored or received checksum does not match",
    "version": "a format version that this build does not read",
    "state": "not possible in the present state",
    "busy": "an earlier request is still under way",
    "expired": "the command's `exp` has passed",
    "json": "not flat JSON by the contract, or longer than the limit",
    "command": "no such command, or a field is missing or out of range",
    "download": "the bundle could not be fetched whole",
    "certificate": "not a whole certificate, or not for the key that this node has made",
    "bundle_header": "not a Whir bundle, or its header is damaged",
    "bundle_truncated": "fewer bytes than the header states",
    "bundle_manifest": "a TLV is missing, doubled, out of order or of the wrong length",
    "bundle_signature": "the signature does not verify, or its key is unknown",
    "bundle_part_hash": "a part's SHA-256 differs from the manifest's",
    "bundle_counter": "the security counter is below the node's",
    "bundle_hardware": "made for another hardware class",
    "bundle_features": "the features hash differs, or a parameter is outside what this build supports",
    "bundle_sensor": "the node's sensor hears less than the bundle needs",
    "bundle_golden": "a golden vector gave another byte on this node",
    "bundle_kernels": "not proven for this node's inference engine",
    "bundle_shadow": "it cannot run beside the model in service: it hears other features, or there is no model",
    "nn_schema": "not a TFLite FlatBuffer with one input and one output, or an offset or length points outside it",
    "nn_op": "an operator that this build does not have; TensorFlow Lite Micro is the way out",
    "nn_type": "a tensor type other than int8 (int32 for biases and shapes)",
    "nn_shape": "tensor shapes that do not fit together, or a dynamic dimension",
    "nn_quant": "quantization parameters that are missing or out of range",
    "nn_option": "an operator option outside its range",
    "nn_arena": "the arena is smaller than the plan needs",
    "nn_engine": "the other inference engine failed; its own code is kept",
    "nn_plan": "the model's file ends with no plan for this build, or with one that leads outside it",
    "sensor_bus": "the sensor does not answer on its bus; the vendor's own code is kept",
    "sensor_identity": "another part answers than the board file names",
    "sensor_setting": "a sensor register does not hold what was written to it",
    "sensor_rate": "the sensor cannot sample that fast, or cannot hear that high",
    "sensor_range": "the sensor cannot measure accelerations that large",
    "sensor_overrun": "the sensor's FIFO was read too late: samples are lost, it starts again",
    "sensor_silent": "the sensor answers but gives no new samples",
    "sensor_stuck": "the sensor repeats one value",
    "sensor_self_test": "the sensor's self-test moved it too little or too far",
    "sensor_mounting": "gravity does not point where the mounting says",
    "firmware_header": "not a firmware package, or of another format",
    "firmware_signature": "the package's signature does not verify, or its key is unknown",
    "firmware_hardware": "made for another hardware class",
    "firmware_counter": "the package's security counter is below the node's",
    "firmware_version": "the firmware that runs is older than the package allows to be followed",
    "firmware_model": "the package cannot run the model in service: another extractor version",
    "firmware_image": "the image differs from its hash, or the bootloader's own check refuses it",
    "firmware_unproven": "the new firmware did not show in time that it works; the event's text says what was missing",
}


class Unit(IntEnum):
    G = 1
    MPS2 = 2
    VOLT = 3


class FeatureKind(IntEnum):
    RAW = 1
    BANDS = 2


class Level(IntEnum):
    ABSOLUTE = 0
    RELATIVE = 1


class AcrossAxes(IntEnum):
    SUM = 1


class PartKind(IntEnum):
    MODEL = 1
    GOLDEN_TENSORS = 2
    GOLDEN_WINDOWS = 3
    EVALUATION = 4


class KernelSet(IntFlag):
    WHIR_NN = 1
    TFLM_REFERENCE = 2


class Scope(IntEnum):
    ANY_MACHINE = 1
    TRAINING_RIG = 2


class CaptureTrigger(IntEnum):
    COMMAND = 0
    ALERT = 1
    DAILY = 2


class NodeState(IntEnum):
    OK = 0
    NO_MODEL = 1
    SENSOR_FAULT = 2
    MACHINE_OFF = 3
    LOST = 4
    STOPPED = 5
    NO_SPEED = 6


class AlertState(IntEnum):
    PENDING = 1
    ACTIVE = 2
    CLEARED = 3


class Profile(IntEnum):
    PLANT = 0
    FAST = 1


class Watch(IntEnum):
    UNKNOWN = 0
    VELOCITY = 1
    VELOCITY_CHANGE = 2


class Severity(IntEnum):
    NONE = 0
    ADVISORY = 1
    WARNING = 2
    CRITICAL = 3


class PowerMode(IntEnum):
    CONTINUOUS = 0
    INTERVAL = 1
    SLEEP = 2
    MOTION = 3


class AckResult(IntEnum):
    OK = 0
    ACCEPTED = 1
    REFUSED = 2
    EXPIRED = 3


class EventKind(IntEnum):
    BOOT = 1
    UPDATE_STARTED = 2
    UPDATE_REFUSED = 3
    UPDATE_TRIAL = 4
    UPDATE_CONFIRMED = 5
    UPDATE_REVERTED = 6
    ROLLBACK_DONE = 7
    SENSOR_FAULT = 8
    SPOOL_DROPPED = 9
    CLOCK_SET = 10
    BASELINE_LEARNED = 11
    BASELINE_FAILED = 12
    FIRMWARE_STARTED = 13
    FIRMWARE_REFUSED = 14
    FIRMWARE_TRIAL = 15
    FIRMWARE_CONFIRMED = 16
    FIRMWARE_REVERTED = 17
    CRASH = 18
    SETTINGS_KEPT = 19
    SETTINGS_REVERTED = 20
    CERTIFICATE_REQUEST = 21
    UPDATE_SHADOW = 30


class Quality(IntFlag):
    STUCK = 1
    CLIPPED = 2
    GAP = 4
    SLOW = 8
    OFF = 16
    NO_MODEL = 32
    STARTING = 64
    NO_SPEED = 128


class MachineGroup(IntEnum):
    UNSET = 0
    GROUP1 = 1
    GROUP2 = 2
    CLASS1 = 3


class Foundation(IntEnum):
    UNSET = 0
    RIGID = 1
    FLEXIBLE = 2


class Zone(IntEnum):
    NONE = 0
    A = 1
    B = 2
    C = 3
    D = 4


class ZoneReason(IntEnum):
    GIVEN = 0
    MACHINE_UNSET = 1
    NO_STANDARD = 2
    UNCALIBRATED = 3
    NOT_ACCELERATION = 4
    BAND_NOT_COVERED = 5
    NOT_MEASURED = 6
    BAD_SENSOR = 7
    OFF = 8


NAME_SITE_NODE_PATTERN: Final = "[a-z0-9][a-z0-9-]{0,31}"
NAME_NAME_MAX_BYTES: Final = 32
NAME_CLASS_NAME_MAX_BYTES: Final = 23
NAME_MODEL_NAME_MAX_BYTES: Final = 31
NAME_MODEL_VERSION_MAX_BYTES: Final = 15
NAME_HARDWARE_CLASS_MAX_BYTES: Final = 15
WINDOW_SAMPLES_MIN: Final = 64
WINDOW_SAMPLES_MAX: Final = 1024
WINDOW_SAMPLES_DEFAULT: Final = 256
WINDOW_CHANNELS_MAX: Final = 3
WINDOW_HOP_MIN: Final = 1
VERDICT_WINDOWS_MAX: Final = 8
VERDICT_SPAN_MAX_MS: Final = 2048
VERDICT_RATE_MAX_HZ: Final = 10
VERDICT_CLASSES_MAX: Final = 8
DECIDE_RAISE_PERMILLE_DEFAULT: Final = 800
DECIDE_CLEAR_PERMILLE_DEFAULT: Final = 500
DECIDE_RAISE_COUNT_DEFAULT: Final = 3
DECIDE_RAISE_OF_DEFAULT: Final = 5
DECIDE_CLEAR_COUNT_DEFAULT: Final = 5
DECIDE_OF_MAX: Final = 8
DECIDE_REALERT_INTERVAL_MS_DEFAULT: Final = 3600000
DECIDE_WARNING_AFTER_MS_DEFAULT: Final = 10000
DECIDE_CRITICAL_AFTER_MS_DEFAULT: Final = 60000
DECIDE_PARTS: Final = 10
DECIDE_PLANT_RUN_UP_MS: Final = 60000
DECIDE_PLANT_PART_MS: Final = 60000
DECIDE_PLANT_RAISE_PERCENT: Final = 80
DECIDE_PLANT_CLEAR_PERCENT: Final = 20
DECIDE_PLANT_WARNING_AFTER_MS: Final = 86400000
DECIDE_PLANT_CRITICAL_AFTER_MS: Final = 604800000
DECIDE_HIGH_PART_MS: Final = 6000
SENSOR_FAULT_AFTER_MS: Final = 5000
SENSOR_SLOW_PERCENT: Final = 90
SENSOR_SLOW_SPAN_MS: Final = 1000
CONDITION_INPUT_RATE_MAX_MHZ: Final = 27000000
CONDITION_INPUT_RATE_MIN_MHZ: Final = 10000
FEATURE_EXTRACTOR_VERSION: Final = 1
FEATURE_BANDS_PER_AXIS_MAX: Final = 64
FEATURE_COUNT_MAX: Final = 256
NOVELTY_FARTHEST: Final = 4
NOVELTY_SPREAD_MIN_Q8: Final = 256
NOVELTY_WINDOWS_MIN: Final = 64
NOVELTY_LIMIT_PERCENT: Final = 150
NOVELTY_LIMIT_MIN_Q8: Final = 512
NOVELTY_UNKNOWN_PERMILLE: Final = 1000
NOVELTY_LEARN_S_DEFAULT: Final = 86400
NOVELTY_LEARN_S_MAX: Final = 604800
MESSAGE_VERSION: Final = 1
MESSAGE_COMMAND_MAX_BYTES: Final = 1024
MESSAGE_MESSAGE_MAX_BYTES: Final = 1024
MESSAGE_COMMAND_ARRAY_MAX: Final = 64
MESSAGE_COMMAND_ID_MAX_BYTES: Final = 39
MESSAGE_URL_MAX_BYTES: Final = 511
MESSAGE_SETTING_KEY_MAX_BYTES: Final = 15
MESSAGE_SETTING_VALUE_MAX_BYTES: Final = 767
MESSAGE_TELEMETRY_INTERVAL_MS_DEFAULT: Final = 60000
MESSAGE_STATUS_INTERVAL_MS_DEFAULT: Final = 60000
MESSAGE_RESEND_INTERVAL_MS_DEFAULT: Final = 5000
MESSAGE_RECEIPT_MAX_SEQ: Final = 64
MESSAGE_SEQ_JUMP_MAX: Final = 1000000
CAPTURE_SAMPLES: Final = 16384
CAPTURE_PRE_MS: Final = 1000
CAPTURE_FIRST_AFTER_MS: Final = 3600000
CAPTURE_INTERVAL_MS: Final = 86400000
CAPTURE_SEND_INTERVAL_MS: Final = 50
CAPTURE_RESEND_AFTER_MS: Final = 60000
CAPTURE_SENDS_MAX: Final = 4
POWER_EVERY_MIN_MS: Final = 60000
POWER_LISTEN_MAX_MS: Final = 30000
POWER_TELL_MAX_MS: Final = 60000
POWER_COMMANDS_MS: Final = 3000
POWER_AFTER_BOOT_MS: Final = 120000
SETTINGS_TRIAL_MS: Final = 600000
BUNDLE_SLOT_BYTES: Final = 262144
BUNDLE_SLOT_ALIGN_BYTES: Final = 65536
BUNDLE_GOLDEN_SHARE_PERCENT: Final = 25
BUNDLE_KEYS_MAX: Final = 4
BUNDLE_TRIAL_DEADLINE_MS_DEFAULT: Final = 600000
FLASH_WRITE_CALL_MAX_BYTES: Final = 256
FLASH_WRITE_SIZE_MAX_BYTES: Final = 32

HARDWARE: Final[dict[str, dict[str, int]]] = {
    "esp32": {"slot_bytes": 262144, "arena_bytes": 32768},
    "host": {"slot_bytes": 262144, "arena_bytes": 65536},
}

PARAMS: Final[dict[str, dict[str, Any]]] = {
    "extractor_version": {"tag": 256, "type": "u16", "min": 1, "max": 1},
    "rate_hz": {"tag": 257, "type": "u32", "min": 100, "max": 27000},
    "bandwidth_hz": {"tag": 258, "type": "u32", "min": 10, "max": 13500},
    "range_mg": {"tag": 259, "type": "u32", "min": 1, "max": 1000000},
    "noise_ug_rthz_max": {"tag": 260, "type": "u32", "min": 1, "max": 1000000},
    "channels": {"tag": 261, "type": "u8", "min": 1, "max": 3},
    "axes": {"tag": 262, "type": "u8", "min": 1, "max": 7},
    "unit": {"tag": 263, "type": "u8", "min": 1, "max": 3},
    "lsb_nano": {"tag": 264, "type": "u32", "min": 1, "max": 100000000},
    "envelope_axes": {"tag": 265, "type": "u8", "min": 1, "max": 7, "optional": True},
    "envelope_low_hz": {"tag": 266, "type": "u32", "min": 100, "max": 13500, "optional": True},
    "envelope_high_hz": {"tag": 267, "type": "u32", "min": 100, "max": 13500, "optional": True},
    "across_axes": {"tag": 268, "type": "u8", "min": 1, "max": 1, "optional": True},
    "window_samples": {"tag": 272, "type": "u16", "min": 64, "max": 1024},
    "hop_samples": {"tag": 273, "type": "u16", "min": 1, "max": 4096},
    "verdict_windows": {"tag": 274, "type": "u8", "min": 1, "max": 8},
    "kind": {"tag": 288, "type": "u8", "min": 1, "max": 2},
    "level": {"tag": 289, "type": "u8", "min": 0, "max": 1},
    "stats": {"tag": 290, "type": "u8", "min": 0, "max": 15},
    "band_edges_bins": {"tag": 291, "type": "u16[]", "min": 0, "max": 512},
    "order_edges_q8": {"tag": 292, "type": "u16[]", "min": 1, "max": 65535, "optional": True},
    "order_lines_q8": {"tag": 293, "type": "u16[]", "min": 1, "max": 65535, "optional": True},
    "offset": {"tag": 304, "type": "i32[]", "min": -2147483648, "max": 2147483647},
    "gain_q16": {"tag": 305, "type": "u32[]", "min": 0, "max": 4294967295},
}

TAGS: Final[dict[str, tuple[int, str]]] = {
    "model_name": (0x0001, "str"),
    "model_version": (0x0002, "str"),
    "security_counter": (0x0003, "u32"),
    "hardware_class": (0x0004, "str"),
    "classes": (0x0005, "strs"),
    "features_hash": (0x0006, "bytes32"),
    "arena_bytes": (0x0007, "u32"),
    "kernel_sets": (0x0008, "u32"),
    "scope": (0x0009, "u8"),
    "raise_permille": (0x0010, "u16"),
    "clear_permille": (0x0011, "u16"),
    "raise_count": (0x0012, "u8"),
    "raise_of": (0x0013, "u8"),
    "off_rms_counts": (0x0014, "u16"),
    "part": (0x0200, "part"),
}

BUNDLE_HEADER: Final[tuple[tuple[str, str], ...]] = (
    ("magic", "u32"),
    ("format_version", "u16"),
    ("header_bytes", "u16"),
    ("total_bytes", "u32"),
    ("manifest_bytes", "u32"),
    ("key_id", "u32"),
    ("reserved", "u32"),
    ("reserved2", "u32"),
    ("crc32", "u32"),
)

BUNDLE_MAGIC: Final = 1380534359
BUNDLE_FORMAT_VERSION: Final = 1
BUNDLE_HEADER_BYTES: Final = 32
BUNDLE_SIGNATURE_BYTES: Final = 64
BUNDLE_PART_ALIGN_BYTES: Final = 16

ZONE_BAND_LOW_HZ: Final = 10
ZONE_BAND_HIGH_HZ: Final = 1000
ZONE_CHANGE_PERCENT: Final = 25

ZONE_LIMITS: Final[tuple[dict[str, Any], ...]] = (
    {"group": "group1", "foundation": "rigid", "over_w": 300000, "to_w": 50000000, "ab_um_s": 2300, "bc_um_s": 4500, "cd_um_s": 7100, "source": "ISO 20816-3:2022, table A.1 (large machines)"},
    {"group": "group1", "foundation": "flexible", "over_w": 300000, "to_w": 50000000, "ab_um_s": 3500, "bc_um_s": 7100, "cd_um_s": 11000, "source": "ISO 20816-3:2022, table A.1 (large machines)"},
    {"group": "group2", "foundation": "rigid", "over_w": 15000, "to_w": 300000, "ab_um_s": 1400, "bc_um_s": 2800, "cd_um_s": 4500, "source": "ISO 20816-3:2022, table A.2 (medium-sized machines)"},
    {"group": "group2", "foundation": "flexible", "over_w": 15000, "to_w": 300000, "ab_um_s": 2300, "bc_um_s": 4500, "cd_um_s": 7100, "source": "ISO 20816-3:2022, table A.2 (medium-sized machines)"},
    {"group": "class1", "foundation": "rigid", "over_w": 0, "to_w": 15000, "ab_um_s": 710, "bc_um_s": 1800, "cd_um_s": 4500, "source": "ISO 10816-1:1995, annex B, class I (small machines)"},
    {"group": "class1", "foundation": "flexible", "over_w": 0, "to_w": 15000, "ab_um_s": 710, "bc_um_s": 1800, "cd_um_s": 4500, "source": "ISO 10816-1:1995, annex B, class I (it knows no foundation)"},
)

CAPTURE_HEADER: Final[tuple[tuple[str, str], ...]] = (
    ("magic", "u32"),
    ("format_version", "u16"),
    ("header_bytes", "u16"),
    ("boot", "u32"),
    ("seq", "u32"),
    ("ts", "u64"),
    ("synced", "u8"),
    ("trigger", "u8"),
    ("unit", "u8"),
    ("channels", "u8"),
    ("rate_mhz", "u32"),
    ("lsb_nano", "u32"),
    ("capture_boot", "u32"),
    ("capture", "u32"),
    ("samples", "u32"),
    ("pre", "u32"),
    ("chunk", "u16"),
    ("chunks", "u16"),
    ("first", "u32"),
    ("occurrence", "u32"),
    ("action", "text40"),
)
CAPTURE_MAGIC: Final = 1346454359
CAPTURE_FORMAT_VERSION: Final = 1
CAPTURE_HEADER_BYTES: Final = 104

FIRMWARE_HEADER: Final[tuple[tuple[str, str], ...]] = (
    ("magic", "u32"),
    ("format_version", "u16"),
    ("header_bytes", "u16"),
    ("image_bytes", "u32"),
    ("key_id", "u32"),
    ("security_counter", "u32"),
    ("extractor_min", "u16"),
    ("extractor_max", "u16"),
    ("hardware_class", "text16"),
    ("version", "text32"),
    ("version_min", "text32"),
    ("image_sha256", "bytes32"),
    ("signature", "bytes64"),
)
FIRMWARE_MAGIC: Final = 1179797591
FIRMWARE_FORMAT_VERSION: Final = 1
FIRMWARE_HEADER_BYTES: Final = 200

TOPIC_PREFIX: Final = "whir/v1"

TOPICS: Final[dict[str, dict[str, Any]]] = {
    "status": {
        "direction": "node",
        "qos": 1,
        "retained": True,
        "doc": "who the node is and how it is; the last will uses it too (state lost, with conn, without seq and ts)",
        "fields": ["v", "site", "node", "boot", "conn", "seq", "ts", "synced", "state", "next_s", "fw", "hardware", "engine", "model", "model_version", "counter", "slot", "trial", "sensor", "rate_mhz", "dropped", "captures_dropped", "reset", "fw_counter", "fw_trial", "power", "brownouts", "crashes", "heap_min", "stack_min", "stack_task", "overruns", "reopens", "cert", "cert_end", "settings"],
        "required": ["v", "boot", "conn", "state"],
    },
    "telemetry": {
        "direction": "node",
        "qos": 1,
        "retained": False,
        "doc": "aggregated verdicts since the last one and overall values",
        "fields": ["v", "boot", "seq", "ts", "synced", "next_s", "verdict", "p", "classes", "windows", "verdicts", "quality", "novelty", "zone", "zone_reason", "velocity", "velocity_hz", "rms", "unit", "model", "counter", "slot"],
        "required": ["v", "boot", "seq", "ts", "synced", "verdict", "p", "windows"],
    },
    "alert": {
        "direction": "node",
        "qos": 1,
        "retained": False,
        "doc": "raise, update or clear of one occurrence",
        "fields": ["v", "site", "node", "machine", "point", "boot", "seq", "ts", "synced", "occurrence", "state", "severity", "verdict", "p", "novelty", "zone", "zone_reason", "velocity", "quality", "model", "counter"],
        "required": ["v", "boot", "seq", "ts", "synced", "occurrence", "state", "severity", "verdict", "p"],
    },
    "event": {
        "direction": "node",
        "qos": 1,
        "retained": False,
        "doc": "update progress, resets, faults",
        "fields": ["v", "boot", "seq", "ts", "synced", "kind", "code", "text", "action", "fw", "model", "model_version", "counter", "slot", "vector", "byte", "got", "wanted", "pairs", "differ", "fault_new", "fault_old", "unknown_new", "unknown_old", "alerts_new", "alerts_old"],
        "required": ["v", "boot", "seq", "ts", "synced", "kind"],
    },
    "capture": {
        "direction": "node",
        "qos": 1,
        "retained": False,
        "doc": "one chunk of a capture: header, samples, CRC-32; binary, little-endian (see [capture])",
        "fields": [],
        "required": [],
    },
    "cmd": {
        "direction": "fleet",
        "qos": 1,
        "retained": False,
        "doc": "flat JSON, at most 1 KB; receipts too",
        "fields": ["v", "c", "id", "exp"],
        "required": ["v", "c"],
    },
    "ack": {
        "direction": "node",
        "qos": 1,
        "retained": False,
        "doc": "answer to a command",
        "fields": ["v", "boot", "seq", "ts", "synced", "id", "c", "result", "code"],
        "required": ["v", "boot", "seq", "ts", "synced", "id", "c", "result"],
    },
}

FLEET_TOPICS: Final[dict[str, dict[str, Any]]] = {
    "alert": {
        "qos": 1,
        "retained": True,
        "fields": ["v", "alert_id", "site", "node", "machine", "point", "boot", "seq", "ts", "synced", "occurrence", "state", "severity", "verdict", "p", "novelty", "zone", "quality", "model", "counter", "nodes"],
        "required": ["v", "alert_id", "site", "node", "machine", "state", "severity", "verdict", "p"],
    },
}

FIELD_TYPES: Final[dict[str, str]] = {
    "v": "u32",
    "site": "str",
    "node": "str",
    "machine": "str?",
    "point": "str?",
    "boot": "u32",
    "conn": "u32",
    "seq": "u32",
    "ts": "u64",
    "synced": "bool",
    "state": "str",
    "next_s": "u32",
    "fw": "str",
    "hardware": "str",
    "engine": "str",
    "model": "str?",
    "model_version": "str?",
    "counter": "u32?",
    "slot": "str?",
    "trial": "bool",
    "sensor": "str?",
    "rate_mhz": "u32?",
    "dropped": "u32",
    "captures_dropped": "u32",
    "reset": "str?",
    "fw_counter": "u32",
    "fw_trial": "bool",
    "power": "str",
    "brownouts": "u32",
    "crashes": "u32",
    "heap_min": "u32?",
    "stack_min": "u32?",
    "stack_task": "str?",
    "overruns": "u32?",
    "reopens": "u32?",
    "cert": "str?",
    "cert_end": "u64?",
    "settings": "u32",
    "verdict": "str",
    "p": "u32",
    "classes": "map",
    "windows": "u32",
    "verdicts": "map",
    "quality": "u32",
    "novelty": "u32?",
    "zone": "str?",
    "zone_reason": "str?",
    "velocity": "u32?",
    "velocity_hz": "u32?",
    "rms": "u32",
    "unit": "str",
    "occurrence": "str",
    "severity": "str",
    "alert_id": "str",
    "nodes": "u32",
    "kind": "str",
    "code": "str?",
    "text": "str?",
    "action": "str?",
    "vector": "u32",
    "byte": "u32",
    "got": "i32",
    "wanted": "i32",
    "pairs": "u32",
    "differ": "u32",
    "fault_new": "u32",
    "fault_old": "u32",
    "unknown_new": "u32",
    "unknown_old": "u32",
    "alerts_new": "u32",
    "alerts_old": "u32",
    "id": "str",
    "exp": "u64",
    "c": "str",
    "result": "str",
    "url": "str",
    "bytes": "u32",
    "seconds": "u32",
    "key": "str",
    "value": "str",
    "shadow_s": "u32",
    "deadline_s": "u32",
}

COMMANDS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "receipt": {"required": {"boot": "u32", "seq": "u32[]"}, "optional": {}},
    "update": {"required": {"id": "str", "exp": "u64", "url": "str", "bytes": "u32"}, "optional": {"deadline_s": "u32", "shadow_s": "u32"}},
    "firmware": {"required": {"id": "str", "exp": "u64", "url": "str", "bytes": "u32"}, "optional": {"deadline_s": "u32"}},
    "setting": {"required": {"id": "str", "exp": "u64", "key": "str", "value": "str"}, "optional": {}},
    "renew": {"required": {"id": "str", "exp": "u64"}, "optional": {}},
    "rollback": {"required": {"id": "str", "exp": "u64"}, "optional": {}},
    "measure": {"required": {"id": "str", "exp": "u64"}, "optional": {}},
    "commission": {"required": {"id": "str", "exp": "u64"}, "optional": {"seconds": "u32"}},
    "capture": {"required": {"id": "str", "exp": "u64"}, "optional": {}},
    "thresholds": {"required": {"id": "str", "exp": "u64", "raise_permille": "u32", "clear_permille": "u32"}, "optional": {}},
    "identify": {"required": {"id": "str", "exp": "u64"}, "optional": {"seconds": "u32"}},
    "restart": {"required": {"id": "str", "exp": "u64"}, "optional": {}},
    "factory_reset": {"required": {"id": "str", "exp": "u64"}, "optional": {}},
}

NVS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "nvs": ("whir", {"wifi_ssid": "string", "wifi_password": "string", "broker": "string"}),
    "fctry": ("identity", {"serial": "string", "site": "string", "node": "string", "hardware": "string", "development": "u8", "certificate": "blob", "private_key": "blob", "broker_ca": "blob", "bundle_keys": "blob"}),
}
CONSOLE_BAUD: Final = 115200
CONSOLE_LINE_MAX_BYTES: Final = 1024
CONSOLE_SAMPLES_MS: Final = 5000
CONSOLE_NETWORK_MS: Final = 20000
