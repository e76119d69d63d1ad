"""Settings as frozen dataclasses, checked by the JSON Schema their own fields spell out.

Datasets, backbones and methods are such classes: their fields are the keys of the config, so the same check serves
``SDC(beta=-1)`` in Python and ``methods: {sdc: {beta: -1}}`` in a config file.
"""

import dataclasses
import difflib
import functools
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from sdc.errors import SDCError
from sdc.limits import Range

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
# More than any config holds. By aliases, a few lines of YAML can stand for billions of values, or for no end of them.
_MOST_VALUES, _DEEPEST = 100_000, 20
# File systems allow no more: bytes of a name, and of a path.
_LONGEST_NAME, _LONGEST_PATH = 255, 4096
_LIMITS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minLength": "of at least {} characters",
    "maxLength": "of at most {} characters",
}


def option(default: Any, **limits: Any) -> Any:
    """A dataclass field with JSON Schema keywords (``minimum=0``, ``multipleOf=8``) beside its default.

    Every number has both limits; those that commands have too are in ``sdc.limits``.
    """
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
    # mypy takes the hash of the objects for that of their class.
    known = _properties(cls)  # type: ignore[arg-type]
    properties = {name: dict(node) for name, node in known.items() if name not in set(without)}
    return {"type": "object", "properties": properties, "additionalProperties": False}


# Types are evaluated from text, which takes longer than a check.
@functools.cache
def _properties(cls: type[Settings]) -> dict[str, dict[str, Any]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: {**schema_of_type(hints[field.name]), **field.metadata} for field in dataclasses.fields(cls)}


def schema_of_type(hint: Any) -> dict[str, Any]:
    """The JSON Schema of the type of a setting."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        schema = schema_of_type(args[0])
        for note in args[1:]:
            schema |= note.keywords if isinstance(note, Range) else {}
        return schema
    if hint in _JSON_TYPES:
        return {"type": _JSON_TYPES[hint]}
    if hint is type(None):
        return {"type": "null"}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema_of_type(arg) for arg in args]}
    if origin in (tuple, list):
        return {"type": "array", "items": schema_of_type(args[0])}
    raise TypeError(f"no JSON type for {hint!r}")


def check(values: Mapping[str, Any], schema: Mapping[str, Any], where: str = "") -> None:
    """Check values against a JSON Schema.

    It is read more strictly than JSON Schema is: 16.0 is no integer, NaN and infinity are no numbers, and a name does
    not end in a line break.

    Raises:
        SDCError: One line with the key, its value, what is allowed and, for names, the nearest one.
    """
    import jsonschema

    errors = _validator()(schema).iter_errors(as_json(values, where))
    error = max(errors, key=jsonschema.exceptions.relevance, default=None)
    if error is not None:
        raise SDCError(_explain(error, where))


@functools.cache
def _validator() -> Any:
    """The class that validates: Draft 2020-12, but strict."""
    from jsonschema import Draft202012Validator, ValidationError, validators

    def is_integer(_: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def matches(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
        # JSON Schema's $ is the very end; Python's is also before a line break there.
        python = re.sub(r"\$$", r"\\Z", pattern)
        if isinstance(value, str) and not re.search(python, value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer)
    return validators.extend(Draft202012Validator, {"pattern": matches}, type_checker=checker)


def as_json(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Values as JSON has them: tuples as lists.

    Raises:
        SDCError: If JSON has no such value or key, text can be no name of a file, or there are too many values.
    """
    left = _MOST_VALUES

    def convert(value: Any, *path: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or len(path) > _DEEPEST:
            most = f"more than {_MOST_VALUES:,} values, or {_DEEPEST} levels of them"
            raise SDCError(f"{_label(where, *path[:2])}: holds {most}; shorten it")
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise SDCError(f"{_label(where, *path)}: key {_shown(key)} is no text; write it in quotes")
            return {key: convert(item, *path, key) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [convert(item, *path, index) for index, item in enumerate(value)]
        if isinstance(value, str) and (problem := _problem_of_text(value)):
            raise SDCError(f"{_label(where, *path)}: {_shown(value)} {problem}")
        if isinstance(value, float) and not math.isfinite(value):
            raise SDCError(f"{_label(where, *path)}: {value} is not allowed; give a finite number")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        kind = f"is not allowed, for JSON has no {type(value).__name__}"
        raise SDCError(f"{_label(where, *path)}: {_shown(value)} {kind}; write text, in quotes, or a number")

    document: dict[str, Any] = convert(values)
    return document


def _problem_of_text(text: str) -> str:
    """Why text, which may be a path, can be none; nothing if it can."""
    try:
        parts = text.encode("utf-8", "surrogateescape").split(b"/")
    except UnicodeEncodeError:
        return "is not allowed; it is not Unicode"
    if "\0" in text:
        return "is not allowed; take out the NUL character"
    if len(text) > _LONGEST_PATH or max(map(len, parts)) > _LONGEST_NAME:
        return f"is too long; at most {_LONGEST_NAME} bytes between slashes and {_LONGEST_PATH} in all are allowed"
    return ""


def _label(*path: Any) -> str:
    """Where a value stands, on one line: ``methods.sdc.epochs``."""
    names = [str(name) for name in path if name != ""]
    return ".".join(name if name.isprintable() and len(name) <= 100 else _shown(name) for name in names) or "config"


def _shown(value: Any) -> str:
    """A value as Python writes it, but short."""
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:150]}… ({len(text):,} characters)"


def check_name(key: str, value: str, allowed: Iterable[str], where: str) -> None:
    """Check that the value of a key is one of some names.

    Raises:
        SDCError: As ``check``.
    """
    check({key: value}, {"properties": {key: {"enum": list(allowed)}}}, where)


def _explain(error: Any, where: str) -> str:
    path = [where, *error.absolute_path]
    label, value = _label(*path), _shown(error.instance)
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", {}))
        key = next(key for key in error.instance if key not in allowed)
        known = f"unknown key (value {_shown(error.instance[key])}); {choices(key, allowed)}"
        return f"{_label(*path, key)}: {known}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{label}: key {missing!r} is missing; it needs {', '.join(error.validator_value)}"
    if error.validator == "enum":
        return f"{label}: {value} is not known; {choices(error.instance, error.validator_value)}"
    return f"{label}: {value} is not allowed; expected {_describe(error.schema)}{_hint(error.instance, error.schema)}"


def _hint(value: Any, schema: Mapping[str, Any]) -> str:
    """What to write instead of a value that is almost right, as YAML reads it."""

    def fits(other: Any) -> bool:
        return bool(_validator()(schema).is_valid(other))

    if isinstance(value, int | float) and fits(str(value)):
        return "; if it is meant, write it in quotes"
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return ""
    whole = int(number) if number.is_integer() else number
    if isinstance(value, bool) or not (isinstance(value, str) or isinstance(whole, int)) or not fits(whole):
        return ""
    # YAML takes a number with an exponent, but without a dot, for text.
    text = re.sub(r"^([-+]?\d+)e", r"\1.0e", repr(whole))
    return f"; write {text}" + " without quotes" * isinstance(value, str)


def choices(value: Any, allowed: Iterable[Any]) -> str:
    """What may stand in place of a value: all names that are known, and the nearest."""
    names = [str(name) for name in allowed]
    nearest = difflib.get_close_matches(str(value)[:100], names, n=1, cutoff=0.5)
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
        least += f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
        items = f" with items: {_describe(schema['items'])}" if "items" in schema else ""
        return "a list" + " without repeats" * schema.get("uniqueItems", False) + least + items
    limits = [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
    pattern = f" matching {schema['pattern']}" if "pattern" in schema else ""
    return " ".join([str(kind) + pattern, ", ".join(limits)]).strip()
