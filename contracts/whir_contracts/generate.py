"""Writes the C header, the Python module and the AsyncAPI document from the contract's TOML files.

Example: python -m whir_contracts.generate --check
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from whir_contracts import source

ROOT = source.FOLDER.parent
NOTE = "Generated from the TOML files in contracts/ by `make generate`; do not edit."

Contract = dict[str, dict[str, Any]]

FIELD_BYTES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "text16": 16, "text32": 32, "bytes32": 32, "text40": 40, "bytes64": 64}

ZONE_NUMBERS = ("band_low_hz", "band_high_hz", "change_percent")
PARAM_KEYS = ("tag", "type", "min", "max", "optional")
ZONE_COLUMNS = ("over_w", "to_w", "ab_um_s", "bc_um_s", "cd_um_s")


def enums(contract: Contract) -> Iterator[tuple[str, dict[str, int]]]:
    for name in ("features", "bundle", "messages", "zones"):
        yield from contract[name]["enum"].items()


def limits(contract: Contract) -> Iterator[tuple[str, int | str]]:
    for section, values in contract["limits"].items():
        if section == "hardware":
            continue
        for name, value in values.items():
            yield f"{section}_{name}", value


def c_offsets(name: str, layout: dict[str, Any]) -> Iterator[str]:
    """A #define for the place of each field of a binary header."""
    offset = 0
    for field in layout["header"]:
        yield f"#define WHIR_{name}_OFFSET_{field['name'].upper()} {offset} /* {field['type']} */"
        offset += FIELD_BYTES[field["type"]]
    if offset != layout["header_bytes"]:
        raise ValueError(f"{name}: header fields take {offset} bytes, header_bytes says {layout['header_bytes']}")


def c_header(contract: Contract) -> str:
    out = [
        f"/* {NOTE} */",
        "/* clang-format off */",
        "#ifndef WHIR_CONTRACT_H",
        "#define WHIR_CONTRACT_H",
        "",
        "#include <stdint.h>",
        "",
        "/* Errors: functions return these negative codes, or a value >= 0. */",
        "#define WHIR_OK 0",
    ]
    out += [f"#define WHIR_ERR_{e['name']} (-{e['code']}) /* {e['text']} */" for e in contract["errors"]["error"]]
    out += ["", '/* The error\'s name on the wire; "unknown" for any other number. */']
    out += ["#define WHIR_ERROR_NAMES(X) \\"]
    out += [f'    X(WHIR_ERR_{e["name"]}, "{e["name"].lower()}") \\' for e in contract["errors"]["error"]]
    out[-1] = out[-1].removesuffix(" \\")
    out += ["", "/* Limits. */"]
    for name, value in limits(contract):
        if isinstance(value, int):
            out.append(f"#define WHIR_{name.upper()} {value}")
    out += ["", "/* Feature parameters: tags of the manifest, with the range that this build accepts. */"]
    for p in contract["features"]["param"]:
        name = f"WHIR_PARAM_{p['name'].upper()}"
        out.append(f"#define {name} 0x{p['tag']:04x} /* {p['type']}: {p['doc']} */")
        if "[]" not in p["type"]:
            out += [f"#define {name}_MIN {p['min']}", f"#define {name}_MAX {p['max']}"]
    bundle = contract["bundle"]
    out += ["", "/* Bundle layout. */"]
    for name in ("magic", "format_version", "header_bytes", "signature_bytes", "part_align_bytes"):
        value = f"0x{bundle[name]:08x}u" if name == "magic" else str(bundle[name])
        out.append(f"#define WHIR_BUNDLE_{name.upper()} {value}")
    out += c_offsets("BUNDLE", bundle)
    out += [f"#define WHIR_TAG_{t['name'].upper()} 0x{t['tag']:04x} /* {t['type']} */" for t in bundle["tag"]]
    for name, members in enums(contract):
        out += ["", f"/* {name} */"]
        out += [f"#define WHIR_{name.upper()}_{m.upper()} {v}" for m, v in members.items()]
        out.append(f"#define WHIR_{name.upper()}_NAMES(X) \\")
        out += [f'    X(WHIR_{name.upper()}_{m.upper()}, "{m}") \\' for m in members]
        out[-1] = out[-1].removesuffix(" \\")
    zones = contract["zones"]
    out += ["", "/* Severity zones: X(group, foundation, over_w, to_w, ab_um_s, bc_um_s, cd_um_s). */"]
    out += [f"#define WHIR_ZONE_{n.upper()} {zones[n]}" for n in ZONE_NUMBERS]
    out.append("#define WHIR_ZONE_LIMITS(X) \\")
    for row in zones["limit"]:
        names = f"WHIR_MACHINE_GROUP_{row['group'].upper()}, WHIR_FOUNDATION_{row['foundation'].upper()}"
        out.append(f"    X({names}, {', '.join(str(row[n]) for n in ZONE_COLUMNS)}) \\")
    out[-1] = out[-1].removesuffix(" \\")
    messages = contract["messages"]
    capture = messages["capture"]
    out += ["", "/* A chunk of a capture. */", f"#define WHIR_CAPTURE_MAGIC 0x{capture['magic']:08x}u"]
    out += [f"#define WHIR_CAPTURE_{n.upper()} {capture[n]}" for n in ("format_version", "header_bytes")]
    out += c_offsets("CAPTURE", capture)
    firmware = contract["firmware"]
    out += ["", "/* A firmware package. */", f"#define WHIR_FIRMWARE_MAGIC 0x{firmware['magic']:08x}u"]
    out += [f"#define WHIR_FIRMWARE_{n.upper()} {firmware[n]}" for n in ("format_version", "header_bytes")]
    out += c_offsets("FIRMWARE", firmware)
    out += ["", f'#define WHIR_TOPIC_PREFIX "{messages["prefix"]}"']
    out += [f'#define WHIR_TOPIC_{t.upper()} "{t}"' for t in messages["topic"]]
    out += [f'#define WHIR_COMMAND_{c.upper()} "{c}"' for c in messages["command"]]
    out += ["", "/* What the factory writes into NVS, and the serial console. */"]
    for partition, part in contract["factory"]["nvs"].items():
        out.append(f'#define WHIR_NVS_{partition.upper()}_NAMESPACE "{part["namespace"]}"')
        for name, key in part["key"].items():
            out.append(f'#define WHIR_NVS_{name.upper()} "{name}" /* {key["type"]}: {key["doc"]} */')
    out += [f"#define WHIR_CONSOLE_{name.upper()} {value}" for name, value in contract["factory"]["console"].items()]
    return "\n".join([*out, "", "#endif", ""])


def python_module(contract: Contract) -> str:
    out = [
        f'"""{NOTE}"""',
        "",
        "from __future__ import annotations",
        "",
        "from enum import IntEnum, IntFlag",
        "from typing import Any, Final",
        "",
        "",
        "class ErrorCode(IntEnum):",
        '    """Codes of the core, negative as C returns them."""',
        "",
        "    OK = 0",
    ]
    out += [f"    {e['name']} = -{e['code']}" for e in contract["errors"]["error"]]
    out += ["", "", "ERROR_TEXT: Final[dict[str, str]] = {"]
    out += [f"    {json.dumps(e['name'].lower())}: {json.dumps(e['text'])}," for e in contract["errors"]["error"]]
    out += ["}"]
    for name, members in enums(contract):
        base = "IntFlag" if name in ("quality", "kernel_set") else "IntEnum"
        out += ["", "", f"class {''.join(w.title() for w in name.split('_'))}({base}):"]
        out += [f"    {m.upper()} = {v}" for m, v in members.items()]
    out += ["", ""]
    for name, value in limits(contract):
        out.append(f"{name.upper()}: Final = {json.dumps(value)}")
    out += ["", "HARDWARE: Final[dict[str, dict[str, int]]] = {"]
    out += [f"    {json.dumps(n)}: {json.dumps(v)}," for n, v in contract["limits"]["hardware"].items()]
    out += ["}", "", "PARAMS: Final[dict[str, dict[str, Any]]] = {"]
    for p in contract["features"]["param"]:
        out.append(f"    {json.dumps(p['name'])}: { {k: p[k] for k in PARAM_KEYS if k in p}!r},".replace("'", '"'))
    bundle = contract["bundle"]
    out += ["}", "", "TAGS: Final[dict[str, tuple[int, str]]] = {"]
    out += [f"    {json.dumps(t['name'])}: (0x{t['tag']:04X}, {json.dumps(t['type'])})," for t in bundle["tag"]]
    out += ["}", "", "BUNDLE_HEADER: Final[tuple[tuple[str, str], ...]] = ("]
    out += [f"    ({json.dumps(f['name'])}, {json.dumps(f['type'])})," for f in bundle["header"]]
    out += [")", ""]
    for name in ("magic", "format_version", "header_bytes", "signature_bytes", "part_align_bytes"):
        out.append(f"BUNDLE_{name.upper()}: Final = {bundle[name]}")
    out.append("")
    out += [f"ZONE_{n.upper()}: Final = {contract['zones'][n]}" for n in ZONE_NUMBERS]
    out += ["", "ZONE_LIMITS: Final[tuple[dict[str, Any], ...]] = ("]
    out += [f"    {json.dumps(row)}," for row in contract["zones"]["limit"]]
    out.append(")")
    messages = contract["messages"]
    capture = messages["capture"]
    for title, layout in (("CAPTURE", capture), ("FIRMWARE", contract["firmware"])):
        out += ["", f"{title}_HEADER: Final[tuple[tuple[str, str], ...]] = ("]
        out += [f"    ({json.dumps(f['name'])}, {json.dumps(f['type'])})," for f in layout["header"]]
        out += [")"]
        out += [f"{title}_{n.upper()}: Final = {layout[n]}" for n in ("magic", "format_version", "header_bytes")]
    out += ["", f"TOPIC_PREFIX: Final = {json.dumps(messages['prefix'])}"]
    for title, table in (("TOPICS", "topic"), ("FLEET_TOPICS", "fleet_topic")):
        out += ["", f"{title}: Final[dict[str, dict[str, Any]]] = {{"]
        for name, t in messages[table].items():
            out.append(f"    {json.dumps(name)}: {{")
            out += [f"        {json.dumps(k)}: {v if isinstance(v, bool) else json.dumps(v)}," for k, v in t.items()]
            out.append("    },")
        out.append("}")
    out += ["", "FIELD_TYPES: Final[dict[str, str]] = {"]
    out += [f"    {json.dumps(n)}: {json.dumps(f['type'])}," for n, f in messages["field"].items()]
    out += ["}", "", "COMMANDS: Final[dict[str, dict[str, dict[str, str]]]] = {"]
    for name, c in messages["command"].items():
        entry = {"required": c["required"], "optional": c.get("optional", {})}
        out.append(f"    {json.dumps(name)}: {json.dumps(entry)},")
    out += ["}", "", "NVS: Final[dict[str, tuple[str, dict[str, str]]]] = {"]
    for partition, part in contract["factory"]["nvs"].items():
        keys = {name: key["type"] for name, key in part["key"].items()}
        out.append(f"    {json.dumps(partition)}: ({json.dumps(part['namespace'])}, {json.dumps(keys)}),")
    out += ["}"]
    out += [f"CONSOLE_{name.upper()}: Final = {json.dumps(value)}" for name, value in contract["factory"]["console"].items()]
    out += [""]
    return "\n".join(out)


JSON_TYPES: dict[str, dict[str, Any]] = {
    "u32": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    "u64": {"type": "integer", "minimum": 0},
    "i32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "map": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
    "u32[]": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 64},
}


def json_schema(contract: Contract, fields: list[str], required: list[str]) -> dict[str, Any]:
    properties = {}
    for name in fields:
        field = contract["messages"]["field"][name]
        schema = dict(JSON_TYPES[field["type"].removesuffix("?")])
        if field["type"].endswith("?"):
            schema["type"] = [schema["type"], "null"]
        properties[name] = {**schema, "description": field["doc"]}
    return {"type": "object", "properties": properties, "required": required}


def asyncapi(contract: Contract) -> str:
    """AsyncAPI 3.0 document of all topics, from the fleet's point of view."""
    messages = contract["messages"]
    node = {"pattern": f"^{contract['limits']['name']['site_node_pattern']}$"}
    names = {"site": {"description": f"site name, {node['pattern']}"}, "node": {"description": f"node name, {node['pattern']}"}}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, topic in messages["topic"].items():
        if name == "cmd":
            payloads = {
                c: {
                    "summary": spec["doc"],
                    "payload": {
                        "type": "object",
                        "properties": {
                            "v": JSON_TYPES["u32"],
                            "c": {"const": c},
                            **{f: JSON_TYPES[t] for f, t in (spec["required"] | spec.get("optional", {})).items()},
                        },
                        "required": ["v", "c", *spec["required"]],
                    },
                }
                for c, spec in messages["command"].items()
            }
        elif name == "capture":
            payloads = {name: {"contentType": "application/octet-stream", "summary": topic["doc"]}}
        else:
            payload = json_schema(contract, topic["fields"], topic["required"])
            payloads = {name: {"summary": topic["doc"], "payload": payload}}
        channels[name] = {
            "address": f"{messages['prefix']}/{{site}}/{{node}}/{name}",
            "parameters": names,
            "description": f"{topic['doc']}; QoS {topic['qos']}{', retained' if topic['retained'] else ''}",
            "messages": payloads,
        }
        action = "send" if topic["direction"] == "fleet" else "receive"
        operations[f"{action}_{name}"] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
    alert = messages["fleet_topic"]["alert"]
    channels["fleet_alert"] = {
        "address": f"{messages['prefix']}/{{site}}/_fleet/alert/{{alert_id}}",
        "parameters": {"site": names["site"], "alert_id": {"description": "ULID of the alert"}},
        "description": "for subscribers; retained, QoS 1; an empty payload deletes it once resolved",
        "messages": {"alert": {"payload": json_schema(contract, alert["fields"], alert["required"])}},
    }
    operations["send_fleet_alert"] = {"action": "send", "channel": {"$ref": "#/channels/fleet_alert"}}
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "Whir topics", "version": f"{messages['version']}.0.0", "description": NOTE},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


OUTPUTS = {
    "firmware/core/include/whir/contract.h": c_header,
    "contracts/whir_contracts/contract.py": python_module,
    "contracts/asyncapi.json": asyncapi,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a generated file is stale")
    check = parser.parse_args().check
    contract = source.load()
    stale = []
    for name, make in OUTPUTS.items():
        path, text = ROOT / name, make(contract)
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    for name in stale:
        print(f"{'stale (run `make generate`)' if check else 'written'}: {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
