import errno
import fcntl
import json
import multiprocessing
import os
import re
import signal

import pytest

from sdc.errors import StorageError
from sdc.storage.files import guarding, missing, read_json, what_is_at, write_json, write_text, writing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), writing(tmp_path / "a") as part:
        part.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def write_half(path):
    """Begin to write a file in a process that is killed."""

    def job():
        with writing(path) as part:
            part.write_text("rest of a killed job")
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=job)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_what_a_killed_job_left_goes_with_the_next_and_nothing_else_does(tmp_path):
    for name in ("a", "a.b", "[a]"):
        write_half(tmp_path / name)
    (other,) = tmp_path.glob("a.b.*.part")
    others = ["a.b", "a.b.part", f"a.{'0' * 8}-{'0' * 8}.part", other.name]
    for name in others[:3]:
        (tmp_path / name).write_text("of another file, user or machine")
    for name in ("a", "[a]"):
        write_text(tmp_path / name, "new")
    assert names(tmp_path) == sorted([*others, "a", "[a]"])


def test_two_writers_of_one_file_share_nothing(tmp_path):
    path = tmp_path / "a"
    meanwhile = pytest.raises(StorageError, match=r"a: another process has written it meanwhile, and it stays")
    with meanwhile, writing(path) as slow:
        slow.write_text("slow")
        with writing(path) as quick:
            quick.write_text("quick")
            assert names(tmp_path) == sorted([slow.name, quick.name])
    assert path.read_text() == "quick"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("there", [False, True])
def test_what_others_write_meanwhile_stays(tmp_path, there):
    path = tmp_path / "a"
    if there:
        path.write_text("old")
    # From the beginning of the process that guards its outputs, though it writes but at its end.
    with guarding([tmp_path / "main"]):
        path.write_text("theirs")
        with pytest.raises(StorageError, match="another process"):
            write_text(path, "ours")
        write_text(tmp_path / "b", "ours")
        write_text(tmp_path / "b", "ours again")
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["a", "b"]
    write_text(path, "ours")
    assert path.read_text() == "ours"


def refuse(*_):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def test_where_there_are_no_locks_and_no_links(tmp_path, monkeypatch):
    write_half(tmp_path / "a")
    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(os, "link", refuse)
    write_text(tmp_path / "a", "new")
    write_text(tmp_path / "a", "newer")
    assert (tmp_path / "a").read_text() == "newer"
    assert len(names(tmp_path)) == 2
    with pytest.raises(StorageError, match="another process"), writing(tmp_path / "b"):
        (tmp_path / "b").write_text("theirs")


def test_a_writer_taken_for_a_leftover_tries_again(tmp_path, monkeypatch):
    """Another process comes between creating the file and locking it, and holds its lock or has removed it."""
    ways = iter([lambda: None, lambda: next(tmp_path.glob("a.*.part")).unlink()])

    def lock(descriptor, kind, flock=fcntl.flock):
        way = next(ways, None)
        if way:
            way()
            raise BlockingIOError
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", lock)
    write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_modes_are_those_of_open(tmp_path):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            write_text(tmp_path / "a", "text")
        finally:
            os.umask(before)
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_links_are_replaced_and_not_followed(tmp_path):
    (tmp_path / "a").symlink_to("b")
    write_text(tmp_path / "a", "new")
    assert names(tmp_path) == ["a"]
    assert not (tmp_path / "a").is_symlink()


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
    assert what_is_at(tmp_path / "a/b") == f"no such file or folder; {tmp_path}/ holds cifar"
    assert what_is_at(tmp_path / "cifar") == "is a folder"


def test_only_what_the_pipeline_makes_is_made_by_it(tmp_path):
    for name, end in (
        ("my.csv", "; name another"),
        ("results", "; name another"),
        ("results/table1.csv", "; make it with: snakemake --cores 1 {}"),
        ("results/run/index", "; make it with: snakemake --cores 1 {}"),
        ("results/run/index/index.json", "/run/index/index.json: no such file or folder; .*; make it with: .*/index"),
        ("results/features/digits/pixels/clean", "; name another"),
    ):
        line = str(missing(tmp_path / name))
        assert line.startswith(f"{tmp_path / name}: no such file or folder; {tmp_path}/ holds nothing; ")
        assert re.search(end.format(re.escape(str(tmp_path / name))) + "$", line)
