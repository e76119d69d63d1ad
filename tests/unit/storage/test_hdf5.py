import concurrent.futures
import errno
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sdc.errors import StorageError
from sdc.storage.hdf5 import Slices, read_h5, writing_h5


@pytest.mark.parametrize("limit", [50, 4000, 12000, 21000])
def test_file_that_cannot_grow_ends_in_one_line_and_no_crash(tmp_path, limit):
    program = (
        "import resource, signal, sys, numpy as np\n"
        "from sdc.errors import StorageError\n"
        "from sdc.storage.hdf5 import writing_h5\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    with writing_h5(sys.argv[1], {'schema': 'x'}) as writer:\n"
        "        writer.create('features', (1000, 4), np.float32)\n"
        "        for _ in range(250): writer.append(features=np.ones((4, 4), np.float32))\n"
        "except StorageError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, tmp_path / "a.h5", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    if limit < 16000:
        assert done.stdout == f"{tmp_path}/a.h5: cannot be written (File too large); make room, then run again\n"
        assert not list(tmp_path.iterdir())
    else:
        assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_writer_refuses_an_unfilled_array(tmp_path):
    with (
        pytest.raises(StorageError, match="rows are missing in features"),
        writing_h5(tmp_path / "a.h5", {}) as writer,
    ):
        writer.create("features", (3, 2), np.float32)
        writer.append(features=np.zeros((2, 2), np.float32))
    assert not list(tmp_path.iterdir())


def test_slices_of_an_array_that_stays_open(tmp_path):
    values = np.arange(200_000, dtype=np.int64).reshape(-1, 2)
    with writing_h5(tmp_path / "x.h5", {"schema": "x"}) as writer:
        writer.write(values=values, none=np.zeros(0, np.uint8))
    arrays = read_h5(tmp_path / "x.h5", "x").arrays
    slices, none = Slices(arrays["values"]), Slices(arrays["none"])
    for part in (slice(0, 3), slice(16_380, 16_390), slice(99_990, None), slice(5, 5), slice(None)):
        assert np.array_equal(slices[part], values[part])
    assert (len(slices), len(none), none[:].tolist()) == (100_000, 0, [])
    (tmp_path / "x.h5").unlink()
    assert slices[7:8].tolist() == [[14, 15]]


def test_threads_slice_one_array(tmp_path):
    values = np.arange(60_000, dtype=np.int64)
    with writing_h5(tmp_path / "x.h5", {"schema": "x"}) as writer:
        writer.write(values=values)
    slices = Slices(read_h5(tmp_path / "x.h5", "x").arrays["values"])

    def wrong(seed):
        lows = np.random.default_rng(seed).integers(0, 59_000, 300).tolist()
        return sum(not np.array_equal(slices[low : low + 9], values[low : low + 9]) for low in lows)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [*pool.map(wrong, range(8))] == [0] * 8


@pytest.fixture
def without_locks(tmp_path):
    """The environment of processes for which no file system has locks."""
    (tmp_path / "locks.c").write_text("#include <errno.h>\nint flock(int f, int o) { errno = ENOLCK; return -1; }\n")
    command = ["gcc", "-shared", "-fPIC", "-o", tmp_path / "locks.so", tmp_path / "locks.c"]
    if not shutil.which("gcc") or sys.platform != "linux":
        pytest.skip("needs gcc, and a loader that takes its library first")
    subprocess.run(command, check=True)
    return {**os.environ, "LD_PRELOAD": str(tmp_path / "locks.so")}


READ = """
import sys
from sdc.errors import SDCError
from sdc.storage.arrays import open_array
from sdc.storage.hdf5 import read_h5
try:
    print(read_h5(sys.argv[1], "x").read("values").tolist())
    with open_array(sys.argv[1] + ":values", "features").opened() as array:
        print(array[:].tolist())
except SDCError as error:
    print(error)
"""


def test_files_are_read_where_there_are_no_locks(tmp_path, without_locks):
    path = tmp_path / "x.h5"
    with writing_h5(path, {"schema": "x"}) as writer:
        writer.write(values=np.arange(3.0))

    def said(**environment):
        command = [sys.executable, "-c", READ, path]
        return subprocess.run(command, env=without_locks | environment, capture_output=True, text=True).stdout

    assert said() == "[0.0, 1.0, 2.0]\n" * 2
    why = "cannot be read (No locks available); unset HDF5_USE_FILE_LOCKING, then run again"
    assert said(HDF5_USE_FILE_LOCKING="TRUE") == f"{path}: {why}\n"


def test_what_the_system_does_not_let_us_read_is_not_called_damaged(tmp_path, monkeypatch):
    with writing_h5(tmp_path / "x.h5", {"schema": "x"}) as writer:
        writer.write(values=np.arange(3.0))
    reader = read_h5(tmp_path / "x.h5", "x")

    def fails(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "preadv", fails)
    line = r"x.h5: cannot be read \(Input/output error\); make it readable, then run again$"
    with pytest.raises(StorageError, match=line):
        reader.read("values")
    (tmp_path / "x.h5").write_bytes((tmp_path / "x.h5").read_bytes()[:100])
    with pytest.raises(StorageError, match=r"cannot be read as HDF5 \(.*truncated file.*\); regenerate it with"):
        read_h5(tmp_path / "x.h5", "x")
