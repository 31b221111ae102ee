"""What a `.tflite` says about itself, by the core's reader: its operators by name, and why the engine refuses it.

A build of the core may hold one model's operators and no others; `config_header` is what it is compiled with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from whir_contracts.contract import ErrorCode
from whir_node.errors import EngineError, check
from whir_node.library import ffi, lib

ERRORS_AT_A_FILE_OFFSET = {ErrorCode.NN_SCHEMA}
# Refusals of one operator's shapes, quantization or options, which TensorFlow Lite Micro may take.
FORM_ERRORS = {ErrorCode.NN_SHAPE, ErrorCode.NN_QUANT, ErrorCode.NN_OPTION}
# What the engine does take of an operator where models are known to have more.
FORMS: dict[tuple[int, str], str] = {
    (ErrorCode.NN_OPTION, "MEAN"): "MEAN over neighbouring axes only",
    (ErrorCode.NN_SHAPE, "ADD"): "ADD of operands of which the shorter is repeated as a whole",
    (ErrorCode.NN_SHAPE, "MUL"): "MUL of operands of which the shorter is repeated as a whole",
}
# What converters put in front of a reshape when they do not know how many inputs come at a time.
SHAPE_ARITHMETIC = {"SHAPE", "STRIDED_SLICE", "PACK"}

FIXED_BATCH = "convert it for one input at a time: keras.Input(shape, batch_size=1), or a shape of (1, ...)"
TFLM = "TensorFlow Lite Micro"
FULL_INT8 = (
    "whir_nn runs int8 throughout: convert with TFLITE_BUILTINS_INT8, a representative_dataset, "
    "and inference_input_type = inference_output_type = tf.int8"
)


@dataclass(frozen=True)
class Outline:
    """A model's inputs and operators, whether the engine can run it or not. `batch` is -1 where it is open."""

    inputs: int
    outputs: int
    batch: int
    operators: tuple[str, ...]

    @property
    def operator_set(self) -> tuple[str, ...]:
        """Each operator once, in the order of first use."""
        return tuple(dict.fromkeys(self.operators))


def outline(model: bytes) -> Outline:
    """Read a model's outline.

    Raises:
        EngineError: not a `.tflite`, or offsets in it lead outside.
    """
    found: Any = ffi.new("host_nn_outline_t *")
    check(lib.host_nn_outline(model, len(model), found, ffi.NULL, 0), "model")
    codes = np.zeros(found.operators, np.uint32)
    check(lib.host_nn_outline(model, len(model), found, ffi.from_buffer("uint32_t[]", codes.data), len(codes)), "model")
    return Outline(found.inputs, found.outputs, found.batch, tuple(map(name_of, codes.tolist())))


def name_of(code: int) -> str:
    """Name of a BuiltinOperator."""
    return NAMES[code] if code < len(NAMES) else f"operator code {code}"


def refusal(code: int, error_at: int, model: bytes) -> EngineError:
    """What the engine's refusal of a model means, and what to do about it.

    Args:
        code: the engine's.
        error_at: operator, or file offset, where it gave up.
        model: the file.
    """
    at_operator = code not in ERRORS_AT_A_FILE_OFFSET
    place, name = f"{'operator' if at_operator else 'file offset'} {error_at}", ""
    try:
        about = outline(model)
    except EngineError:
        return EngineError(code, place)
    if at_operator and error_at < len(about.operators):
        name = about.operators[error_at]
        place += f", {name}"
    return EngineError(code, place, _hint(code, name, about))


def _hint(code: int, name: str, about: Outline) -> str:
    if about.inputs != 1 or about.outputs != 1:
        numbers = f"{about.inputs} and {about.outputs}"
        return f"whir_nn takes one input and gives one output; this model has {numbers}: {TFLM} runs such models"
    of_the_batch = name in SHAPE_ARITHMETIC and "SHAPE" in about.operators
    if (code == ErrorCode.NN_SHAPE and about.batch != 1) or (code == ErrorCode.NN_OP and of_the_batch):
        return FIXED_BATCH
    if code == ErrorCode.NN_OP:
        missing = ", ".join(n for n in about.operator_set if not _has(n))
        return f"whir_nn has no {missing}; run this model with {TFLM}"
    if code == ErrorCode.NN_TYPE:
        return FULL_INT8
    if code == ErrorCode.SPACE:
        return f"whir_nn takes at most 128 operators, with 65,535 output channels; {TFLM} takes more"
    if code in FORM_ERRORS:
        return f"whir_nn runs {FORMS.get((code, name), f'no {name} of this form')}; {TFLM} is the way out"
    return ""


def _has(name: str) -> bool:
    return name in NAMES and bool(lib.host_nn_has(NAMES.index(name)))


def config_header(model_name: str, operator_set: Iterable[str]) -> str:
    """C that makes a build of whir_nn hold these operators and no others; for `-include`. All must be the engine's."""
    listed = " ".join(f"OP({name.lower().removesuffix('_2d')})" for name in operator_set)
    return f"/* The operators of {model_name}: build with -include this file. */\n#define WHIR_NN_OPS(OP) {listed}\n"


# BuiltinOperator of the TFLite schema, by number; what comes after is StableHLO.
_NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED
HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU
RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM
EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV
SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE
BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE
SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT
REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE
ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL
REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF
WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND
HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
"""
NAMES = tuple(_NAMES.split())
