import errno
import json

import pytest

from sdc.errors import StorageError
from sdc.storage.files import read_json, what_is_at, write_json, write_text, writing


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), writing(tmp_path / "a") as part:
        part.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_job_left_is_overwritten(tmp_path):
    (tmp_path / "a.part").write_text("rest of a killed job")
    write_text(tmp_path / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_json_must_be_an_object(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(StorageError, match=r"a.json: is not a JSON object"):
        read_json(tmp_path / "a.json")


def test_json_round_trip(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == read_json(tmp_path / "a.json") == {"x": 1}


def fill_the_disk(path):
    with writing(path) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_names_the_file(tmp_path):
    with pytest.raises(StorageError, match=r"a: cannot be written \(No space left on device\); make room"):
        fill_the_disk(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_what_is_there_instead(tmp_path):
    (tmp_path / "cifar").mkdir()
    assert what_is_at(tmp_path / "a/b") == f"not found; {tmp_path}/ holds cifar"
    assert what_is_at(tmp_path / "cifar") == "is a folder"
