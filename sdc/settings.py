"""Settings as frozen dataclasses, checked by the JSON Schema their own fields spell out.

Datasets, backbones and methods are such classes: their fields are the keys of the config, so the same check serves
``SDC(beta=-1)`` in Python and ``methods: {sdc: {beta: -1}}`` in a config file.
"""

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from sdc.errors import SDCError

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_LIMITS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
}


def option(default: Any, **limits: Any) -> Any:
    """A dataclass field with JSON Schema keywords (``minimum=0``, ``multipleOf=8``) beside its default."""
    return dataclasses.field(default=default, metadata=limits)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of everything that is configured by name.

    Raises:
        SDCError: If a value has the wrong type or lies outside its limits.
    """

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        check(values, schema_of(type(self)), where=type(self).__name__)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return dict(json.loads(json.dumps(dataclasses.asdict(self))))


def schema_of(cls: type[Settings], without: Iterable[str] = ()) -> dict[str, Any]:
    """The JSON Schema of a settings class: its fields, their types and limits, and nothing else."""
    hints = typing.get_type_hints(cls)
    properties = {
        field.name: {**_schema_of_type(hints[field.name]), **field.metadata}
        for field in dataclasses.fields(cls)
        if field.name not in set(without)
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _schema_of_type(hint: Any) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in _JSON_TYPES:
        return {"type": _JSON_TYPES[hint]}
    if hint is type(None):
        return {"type": "null"}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema_of_type(arg) for arg in args]}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema_of_type(args[0])}
    raise TypeError(f"no JSON type for {hint!r}")


def check(values: Mapping[str, Any], schema: Mapping[str, Any], where: str = "") -> None:
    """Check values against a JSON Schema.

    Raises:
        SDCError: One line with the key, its value, what is allowed and, for names, the nearest one.
    """
    import jsonschema

    # Tuples are arrays too; JSON knows only lists.
    document = json.loads(json.dumps(values))
    errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
    error = max(errors, key=jsonschema.exceptions.relevance, default=None)
    if error is not None:
        raise SDCError(_explain(error, where))


def check_name(key: str, value: str, allowed: Iterable[str], where: str) -> None:
    """Check that the value of a key is one of some names.

    Raises:
        SDCError: As ``check``.
    """
    check({key: value}, {"properties": {key: {"enum": list(allowed)}}}, where)


def _explain(error: Any, where: str) -> str:
    path = [*filter(None, [where]), *map(str, error.absolute_path)]
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", {}))
        key = next(key for key in error.instance if key not in allowed)
        label = ".".join([*path, key])
        return f"{label}: unknown key (value {error.instance[key]!r}); {_choices(key, allowed)}"
    label = ".".join(path) or "config"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{label}: key {missing!r} is missing; it needs {', '.join(error.validator_value)}"
    if error.validator == "enum":
        return f"{label}: {error.instance!r} is not known; {_choices(str(error.instance), error.validator_value)}"
    return f"{label}: {error.instance!r} is not allowed; expected {_describe(error.schema)}"


def _choices(value: str, allowed: Iterable[Any]) -> str:
    names = [str(name) for name in allowed]
    nearest = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"allowed: {', '.join(names) or 'none'}{hint}"


def _describe(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        # Limits beside anyOf hold for whichever of the types has them.
        shared = {key: schema[key] for key in _LIMITS if key in schema}
        kinds = ({**shared, **one} if one.get("type") in ("integer", "number") else one for one in schema["anyOf"])
        return " or ".join(map(_describe, kinds))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    kind = schema.get("type", "value")
    if isinstance(kind, list):
        return " or ".join(f"a non-empty {one}" if one in ("object", "array") else one for one in kind)
    if kind == "array":
        least = f" of at least {schema['minItems']}" if "minItems" in schema else ""
        items = f" with items: {_describe(schema['items'])}" if "items" in schema else ""
        return "a list" + " without repeats" * schema.get("uniqueItems", False) + least + items
    limits = [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
    pattern = f" matching {schema['pattern']}" if "pattern" in schema else ""
    return " ".join([str(kind) + pattern, ", ".join(limits)]).strip()
