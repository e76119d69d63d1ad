import datetime
import decimal

import numpy as np
import pytest

from sdc.errors import SDCError
from sdc.storage.values import are_exact, as_ids, plain


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ([1, 2], ["1", "2"]),
        (np.array([1, 2], np.uint8), ["1", "2"]),
        (np.array([1.0, 2.0]), ["1", "2"]),
        (np.array([2**63], np.uint64), [str(2**63)]),
        ([10**30, -1], [str(10**30), "-1"]),
        ([decimal.Decimal(10**21), decimal.Decimal(1)], [str(10**21), "1"]),
        (["01", "1"], ["01", "1"]),
        ([b"a", "é"], ["a", "é"]),
        (np.array([["é"], ["b"]]), ["é", "b"]),
        (np.array(["é".encode()]), ["é"]),
        (np.array(["a", 2], object), ["a", "2"]),
        (np.array(["ab", "c"], ">U2"), ["ab", "c"]),
    ],
)
def test_ids_are_text_or_whole_numbers(values, ids):
    assert as_ids(values, "a.npy") == ids


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.array([1, 0.5]), r"a.npy: row 1 has 0.5 as id; save ids as integers or text"),
        (np.array([np.nan]), r"row 0 has nan as id"),
        (np.array([2.0**53]), r"row 0 has 9007199254740992.0 as id"),
        (np.array([True]), r"ids are bool of shape \(1,\); give each row a text or a whole number"),
        (np.zeros((2, 2)), r"ids are float64 of shape \(2, 2\); give"),
        (np.array(3), r"ids are int64 of shape \(\)"),
        (np.zeros((0,)), r"ids have shape \(0,\); give each row its own"),
        (np.zeros(1, "datetime64[s]"), r"ids are datetime64\[s\] of shape"),
        (np.zeros(1, [("a", "f4")]), r"ids are \[\('a', '<f4'\)\] of shape"),
        (np.zeros(1, complex), r"ids are complex128"),
        (["a", ""], r"row 1 has '' as id; give each row a text or a whole number"),
        (["a", None], r"row 1 has None as id"),
        ([decimal.Decimal("1.5")], r"row 0 of the ids holds Decimal"),
        ([1.5], r"row 0 has 1.5 as id"),
        ([True], r"row 0 has True as id"),
        ([["a"]], r"row 0 has \['a'\] as id"),
        ([{}], r"row 0 of the ids holds {}; save numbers or text"),
        ([datetime.date(2020, 1, 1)], r"row 0 of the ids holds datetime.date"),
        ([2**14_001], r"row 0 of the ids holds a number of 14002 bits; save it as text"),
        ([b"\xff"], r"row 0 of the ids is not Unicode \(.*\); save it as text"),
        (["\ud800"], r"row 0 of the ids is not Unicode \(.*\); save it as text"),
        (np.array([b"\xff"]), r"ids are not text in UTF-8 \(.*\); save them as such"),
        (np.array([0x110000], np.uint32).view("U1"), r"ids are not Unicode; save them as text"),
        (np.array([0xDC00], np.uint32).view("U1"), r"ids are not Unicode; save them as text"),
        ({"a": 1}, r"ids are a dict; save an array or list with one per row"),
        (3, r"ids are a int; save"),
        (None, r"ids are a NoneType; save"),
    ],
)
def test_what_is_no_id(values, problem):
    with pytest.raises(SDCError, match=problem) as caught:
        as_ids(values, "a.npy")
    assert "\n" not in str(caught.value)


def test_text_is_unicode_and_the_rest_stays():
    numbers = np.arange(4).reshape(2, 2)
    assert plain(numbers, "labels", "a.npy") is numbers
    assert plain(np.array([b"x"]), "labels", "a.npy").dtype == "U1"
    assert plain([1, None, ["é", b"x"]], "labels", "a.npy") == [1, None, ["é", "x"]]


@pytest.mark.parametrize(("kind", "digits"), [(np.float16, 11), (np.float32, 24), (np.float64, 53)])
def test_a_float_stands_for_one_whole_number_up_to_its_digits(kind, digits):
    limit = 2.0**digits
    exact = are_exact(np.array([limit - 1, 1 - limit, 0, limit, 0.5, np.nan, np.inf], kind))
    assert exact.tolist() == [True] * 3 + [False] * 4
