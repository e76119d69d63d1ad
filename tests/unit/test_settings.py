import dataclasses
import datetime
import math
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
    word: str = "word"


def test_defaults_and_json_round_trip():
    assert Example(cuts=(2,)).as_dict() == {
        "rate": 0.1,
        "size": None,
        "kind": "plain",
        "cuts": [2],
        "exact": True,
        "word": "word",
    }


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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 16.0}, r"Example.size: 16.0 is not allowed; expected integer >= 1 or null; write 16$"),
        ({"size": 0.0}, r"Example.size: 0.0 is not allowed; expected integer >= 1 or null$"),
        ({"size": "16"}, r"Example.size: '16' is not allowed; expected integer >= 1 or null; write 16 without quotes$"),
        ({"size": "1e3"}, r"; write 1000 without quotes$"),
        ({"rate": "1e-5"}, r"; write 1.0e-05 without quotes$"),  # as YAML reads 1e-5
        ({"rate": "-1"}, r"Example.rate: '-1' is not allowed; expected number > 0$"),
        ({"size": True}, r"Example.size: True is not allowed; expected integer >= 1 or null$"),
        ({"rate": math.nan}, r"Example.rate: nan is not allowed; give a finite number$"),
        ({"cuts": (1, math.inf)}, r"Example.cuts.1: inf is not allowed; give a finite number$"),
        ({"word": 7}, r"Example.word: 7 is not allowed; expected string; if it is meant, write it in quotes$"),
        ({"word": True}, r"Example.word: True is not allowed; expected string; if it is meant, write it in quotes$"),
        ({"word": {"a": 1}}, r"Example.word: {'a': 1} is not allowed; expected string$"),
        (
            {"word": datetime.date(2020, 1, 1)},
            r"Example.word: .*, for JSON has no date; write text, in quotes",
        ),
        ({"word": b"w"}, r"Example.word: b'w' is not allowed, for JSON has no bytes; write text"),
        ({"word": "\ud800"}, r"Example.word: '\\ud800' is not allowed; it is not Unicode$"),
        (
            {"word": "a/" + "ü" * 128},
            r"Example.word: 'a/ü+' is too long; at most 255 bytes between slashes",
        ),
        ({"word": {7: 1}}, r"Example.word: key 7 is no text; write it in quotes$"),
        ({"word": {"a\n": math.nan}}, r"Example.word.'a\\n': nan is not allowed"),
    ],
)
def test_values_that_json_or_yaml_take_for_others(values, message):
    with pytest.raises(SDCError, match=message) as error:
        Example(**values)
    assert "\n" not in str(error.value)


def test_long_values_are_shown_in_part():
    with pytest.raises(SDCError, match=r"Example.size: \[0, .*… \(58,890 characters\) is not allowed"):
        Example(size=list(range(10_000)))


def test_unknown_key_names_the_nearest():
    with pytest.raises(SDCError, match=r"methods.x.raet: unknown key \(value 1\); allowed: .*did you mean 'rate'\?"):
        check({"raet": 1}, schema_of(Example), where="methods.x")


def test_missing_key():
    schema = {"type": "object", "required": ["a", "b"], "properties": {"a": {}, "b": {}}}
    with pytest.raises(SDCError, match=r"config: key 'b' is missing; it needs a, b"):
        check({"a": 1}, schema)


def test_fields_can_be_left_out_of_the_schema():
    assert set(schema_of(Example, without=["rate", "size"])["properties"]) == {"kind", "cuts", "exact", "word"}


def test_types_without_json_equivalent_are_refused():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Odd(Settings):
        value: complex = 1j

    with pytest.raises(TypeError, match="no JSON type"):
        schema_of(Odd)
