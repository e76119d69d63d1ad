import dataclasses
from typing import Literal

import pytest

from sdc.errors import SDCError
from sdc.settings import Settings, check, option, schema_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example(Settings):
    rate: float = option(0.1, exclusiveMinimum=0)
    size: int | None = option(None, minimum=1)
    kind: Literal["plain", "fancy"] = "plain"
    cuts: tuple[int, ...] = (1, 5)
    exact: bool = True


def test_defaults_and_json_round_trip():
    assert Example(cuts=(2,)).as_dict() == {"rate": 0.1, "size": None, "kind": "plain", "cuts": [2], "exact": True}


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"rate": -1.0}, ["Example.rate", "-1.0", "number > 0"]),
        ({"rate": "fast"}, ["Example.rate", "'fast'", "number > 0"]),
        ({"size": 0}, ["Example.size", "0", "integer >= 1 or null"]),
        ({"kind": "fance"}, ["Example.kind", "'fance'", "plain, fancy", "did you mean 'fancy'?"]),
        ({"cuts": 3}, ["Example.cuts", "3", "a list with items: integer"]),
        ({"cuts": [1, "b"]}, ["Example.cuts.1", "'b'", "integer"]),
    ],
)
def test_bad_values_name_key_value_and_what_is_allowed(values, parts):
    with pytest.raises(SDCError) as error:
        Example(**values)
    assert all(part in str(error.value) for part in parts), str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_key_names_the_nearest():
    with pytest.raises(SDCError, match=r"methods.x.raet: unknown key \(value 1\); allowed: .*did you mean 'rate'\?"):
        check({"raet": 1}, schema_of(Example), where="methods.x")


def test_missing_key():
    schema = {"type": "object", "required": ["a", "b"], "properties": {"a": {}, "b": {}}}
    with pytest.raises(SDCError, match=r"config: key 'b' is missing; it needs a, b"):
        check({"a": 1}, schema)


def test_fields_can_be_left_out_of_the_schema():
    assert set(schema_of(Example, without=["rate", "size"])["properties"]) == {"kind", "cuts", "exact"}


def test_types_without_json_equivalent_are_refused():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Odd(Settings):
        value: complex = 1j

    with pytest.raises(TypeError, match="no JSON type"):
        schema_of(Odd)
