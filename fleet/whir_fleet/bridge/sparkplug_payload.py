"""The payload of Sparkplug B, as protocol buffers: the part of its schema that the adapter writes and reads.

Field numbers and data types are those of the Sparkplug specification 3.0, section 6.4.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

INT64, DOUBLE, BOOLEAN, STRING = 4, 10, 11, 12  # data types of metrics

_PACKAGE: Final = "whir.sparkplug"  # a pool of our own: others may have loaded the full schema
_FIELD = descriptor_pb2.FieldDescriptorProto
# message → (name, number, type); a capital names another message, * is for any number of them
_SCHEMA: Final = {
    "Payload": [("timestamp", 1, "uint64"), ("metrics", 2, "Metric*"), ("seq", 3, "uint64")],
    "Metric": [
        ("name", 1, "string"),
        ("timestamp", 3, "uint64"),
        ("datatype", 4, "uint32"),
        ("is_null", 7, "bool"),
        ("properties", 9, "PropertySet"),
        ("long_value", 11, "uint64"),
        ("double_value", 13, "double"),
        ("boolean_value", 14, "bool"),
        ("string_value", 15, "string"),
    ],
    "PropertySet": [("keys", 1, "string*"), ("values", 2, "PropertyValue*")],
    "PropertyValue": [("type", 1, "uint32"), ("string_value", 8, "string")],
}
_VALUES: Final = {INT64: "long_value", DOUBLE: "double_value", BOOLEAN: "boolean_value", STRING: "string_value"}


def _payload_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _SCHEMA.items():
        made = file.message_type.add(name=message)
        for name, number, kind in fields:
            plain = kind.rstrip("*")
            field = made.field.add(name=name, number=number)
            field.label = _FIELD.LABEL_REPEATED if plain != kind else _FIELD.LABEL_OPTIONAL
            if plain[0].isupper():
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{plain}"
            else:
                field.type = getattr(_FIELD, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Payload"))


_Payload: Final = _payload_class()

Value = int | float | bool | str | None
Metric = tuple[int, Value, str | None]  # data type, value, engineering unit


def encode(now_ms: int, metrics: dict[str, Metric], seq: int | None) -> bytes:
    """`seq` is None for a death certificate, which has none."""
    payload = _Payload(timestamp=now_ms)
    if seq is not None:
        payload.seq = seq
    for name, (kind, value, unit) in metrics.items():
        metric = payload.metrics.add(name=name, timestamp=now_ms, datatype=kind)
        if value is None:
            metric.is_null = True
        else:
            setattr(metric, _VALUES[kind], value)
        if unit is not None:
            metric.properties.keys.append("engUnit")
            metric.properties.values.add(type=STRING, string_value=unit)
    return bytes(payload.SerializeToString())


def flags(data: bytes) -> dict[str, bool]:
    """The Boolean metrics of a command. ValueError: it is no payload."""
    try:
        payload = _Payload.FromString(data)
    except Exception as error:  # protobuf's DecodeError, of whichever implementation
        raise ValueError(f"no Sparkplug payload: {error}") from error
    return {metric.name: metric.boolean_value for metric in payload.metrics if metric.HasField("boolean_value")}
