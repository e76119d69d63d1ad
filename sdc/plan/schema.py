"""The JSON Schema of a config from the classes behind its entries; ``python -m sdc.plan.schema`` prints it for editors.

What ``check_config`` checks a config by is the same, but for the entries: of these, only those that there are.
"""

import dataclasses
import json
import sys
from typing import Any

from sdc import registry
from sdc.docstrings import section, summary
from sdc.limits import Bits, Seed
from sdc.plan.indexing import Indexing
from sdc.plan.scoring import Evaluation
from sdc.settings import Settings, option, schema_of, schema_of_type

# A name is that of a folder, and part of the names of files in it, which may have 255 bytes.
_NAME = {"type": "string", "pattern": "^[a-z0-9_]+$", "maxLength": 100}
_NAMES = {"type": "array", "minItems": 1, "maxItems": 1000, "uniqueItems": True, "items": _NAME}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report(Settings):
    """What the figures show.

    Attributes:
        retrieval: Methods of which the report shows what they retrieve; else SDC and the best, middle and worst method.
    """

    retrieval: tuple[str, ...] = option((), uniqueItems=True, items=_NAME)


def shape() -> dict[str, Any]:
    """The schema of a config whose catalogue entries may be any mapping."""
    numbers = {"type": "array", "minItems": 1, "maxItems": 1000, "uniqueItems": True}
    run = {
        **dict.fromkeys(registry.CATALOGUES, _NAMES),
        "bits": {**numbers, "items": schema_of_type(Bits)},
        "seeds": {**numbers, "items": schema_of_type(Seed)},
        "only": _mapping("By backbone, the methods to which it is limited", additionalProperties=_NAMES),
    }
    ablation = {
        "method": _NAME,
        "settings": _mapping("Of all variants; a word in braces stands for a value that is varied"),
        "vary": {
            **_mapping("Lists of values by key, whose product is taken; or a list of settings", minProperties=1),
            "type": ["object", "array"],
            "additionalProperties": {"type": "array", "minItems": 1},
            "minItems": 1,
            "items": {"type": "object", "minProperties": 1},
        },
    }
    catalogue = {"type": "object", "propertyNames": _NAME, "additionalProperties": {"type": "object"}}
    properties = {
        "run": _closed("Lists whose product is built", run, [axis for axis in run if axis != "only"]),
        "preset": {
            "description": "Named hyper-parameters of every method whose entry has no preset of its own",
            "enum": list(registry.PRESETS),
        },
        "evaluation": _fields(Evaluation),
        "report": _fields(Report),
        "index": _fields(Indexing),
        **dict.fromkeys(registry.CATALOGUES, catalogue),
        "ablations": _mapping(
            "By name, what is varied of a method; each value is a row of a table of that name",
            propertyNames={**_NAME, "pattern": "^[a-z][a-z0-9_]*$"},
            additionalProperties=_closed("Variants of a method", ablation, ["vary"]),
        ),
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_closed("A run of SDC", properties, ["run"])}


def whole() -> dict[str, Any]:
    """The schema of a config with the keys of every registered dataset, backbone and method."""
    schema = shape()
    definitions: dict[str, dict[str, Any]] = {}
    for catalogue, known in registry.CATALOGUES.items():
        kind = {"$ref": f"#/$defs/{catalogue}.type"}
        properties: dict[str, Any] = {}
        typed: list[dict[str, Any]] = []
        definitions[f"{catalogue}.type"] = {"enum": sorted(known)}
        definitions[catalogue] = {
            **_mapping("An entry of a new name says by its type what it is", required=["type"]),
            "properties": {"type": kind},
            "allOf": typed,
        }
        for target in dict.fromkeys(known.values()):
            kinds = [name for name in known if known[name] == target]
            cls = registry.load(catalogue, kinds[0])
            own = f"{catalogue}.{cls.__name__}"
            fields = {"$ref": f"#/$defs/{own}.fields"}
            definitions[f"{own}.fields"] = _fields(cls, registry.entry_schema(catalogue, kinds[0], {}))
            definitions[f"{own}.fields"]["properties"]["type"] = kind
            definitions[own] = {
                "if": {"required": ["type"]}, "then": {"$ref": f"#/$defs/{catalogue}"}, "else": fields,
            }  # fmt: skip
            typed.append({"if": {"properties": {"type": {"enum": kinds}}}, "then": fields})
            properties |= {name: {"$ref": f"#/$defs/{own}"} for name in kinds}
        entries = {"properties": properties, "additionalProperties": {"$ref": f"#/$defs/{catalogue}"}}
        schema["properties"][catalogue] = {**schema["properties"][catalogue], **entries}
        # Editors complete what is registered; the config may add names.
        schema["properties"]["run"]["properties"][catalogue] = {**_NAMES, "items": {"anyOf": [kind, _NAME]}}
    _share(definitions)
    return {**schema, "$defs": definitions}


def _share(definitions: dict[str, Any]) -> None:
    """Let what several classes inherit be written once."""
    places: dict[str, str] = {}
    for name, definition in definitions.items():
        for key, value in definition.get("properties", {}).items():
            here = f"#/$defs/{name}/properties/{key}"
            if (place := places.setdefault(json.dumps(value), here)) != here and "$ref" not in value:
                definition["properties"][key] = {"$ref": place}


def text() -> str:
    """The whole schema as JSON, a line per property and definition."""
    schema = whole()
    spread = ("properties", "$defs")
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in schema.items() if key not in spread]
    for key in spread:
        lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in schema[key].items())
        parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _mapping(description: str, **keywords: Any) -> dict[str, Any]:
    return {"description": description, "type": "object", **keywords}


def _closed(description: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return _mapping(description, properties=properties, required=required, additionalProperties=False)


def _fields(cls: type[Settings], schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a settings class with its defaults, and what its docstring and those of its bases say of each."""
    schema = {"description": summary(cls.__doc__), **(schema or schema_of(cls))}
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts |= section(base.__doc__, "Attributes")
    for field in dataclasses.fields(cls):
        if field.name in schema["properties"]:
            about = {"description": texts[field.name]} if field.name in texts else {}
            schema["properties"][field.name] |= {**about, "default": field.default}
    return schema


if __name__ == "__main__":
    sys.stdout.write(text())
