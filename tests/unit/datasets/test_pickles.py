import os
import pickle

import numpy as np
import pytest

from sdc.datasets import pickles


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_of_every_protocol(tmp_path, protocol):
    data = {
        "names": ["a", "b"],
        "boxes": [1.5, -2, True, None],
        "array": np.arange(6, dtype=np.int32).reshape(2, 3),
        "columns": np.asfortranarray(np.eye(3)),
        "number": np.float64(0.25),
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(data, protocol=protocol))
    read = pickles.load(tmp_path / "a.pkl")
    assert {key: read[key] for key in ("names", "boxes", "number")} == {
        key: data[key] for key in ("names", "boxes", "number")
    }
    assert np.array_equal(read["array"], data["array"]) and read["array"].dtype == np.int32
    assert np.array_equal(read["columns"], data["columns"])


def test_python_2_and_old_numpy(tmp_path):
    # {'a': 'é' as a byte string of Python 2}
    (tmp_path / "a.pkl").write_bytes(b"(dS'a'\nS'\\xe9'\ns.")
    assert pickles.load(tmp_path / "a.pkl") == {"a": "é"}
    new = pickle.dumps(np.arange(3), protocol=2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    (tmp_path / "a.pkl").write_bytes(old)
    assert pickles.load(tmp_path / "a.pkl").tolist() == [0, 1, 2]


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("called", "why"),
    [
        (Calls(eval, "1 + 1"), "asks for builtins.eval"),
        (Calls(os.system, "true"), r"asks for (posix|nt).system"),
        (Calls(getattr, "a", "upper"), "asks for builtins.getattr"),
        ({1, 2}.__class__, "asks for builtins.set"),
    ],
)
@pytest.mark.parametrize("depth", ["at the top", "deep inside"])
def test_a_call_is_refused_before_it_happens(tmp_path, called, why, depth):
    data = called if depth == "at the top" else {"gnd": [{"easy": [1, called]}]}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(data))
    with pytest.raises(ValueError, match=why):
        pickles.load(tmp_path / "a.pkl")


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04\x95", b"cnumpy\nndarray\n)R.", b".", b"0."])
def test_what_is_no_pickle_is_a_value_error(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(ValueError, match="."):
        pickles.load(tmp_path / "a.pkl")
    whole = pickle.dumps({"a": np.arange(100)})
    (tmp_path / "a.pkl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="."):
        pickles.load(tmp_path / "a.pkl")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        pickles.load(tmp_path / "gone.pkl")
