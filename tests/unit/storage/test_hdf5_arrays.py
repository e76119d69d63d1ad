import os

import h5py
import numpy as np
import pytest

from sdc.errors import SDCError
from sdc.storage.hdf5_arrays import HDF5
from sdc.storage.sources import naming

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)


def read(path, external="refuse", name="x"):
    """An array of a file, read whole and by rows."""
    with naming(path):
        source = HDF5(path, external)
        with source.rows(name)() as array:
            rows = np.array(array[:])
        assert np.array_equal(source.read(name), rows)
    return rows


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["y"] = ROWS
    return tmp_path / "a.h5"


@pytest.fixture
def written(path):
    """``written(write)``: the file after ``write`` had it open."""

    def make(write):
        with h5py.File(path, "w") as file:
            write(file)
        return path

    return make


def view(*parts, shape=(6, 2)):
    """A writer of a view ``x``: of each part, where it lies in the view, and file, name and shape of the source."""

    def write(file):
        layout = h5py.VirtualLayout(shape, "f4")
        for place, (name, array, whole, *taken) in parts:
            source = h5py.VirtualSource(name, array, whole)
            layout[place] = source[taken[0]] if taken else source
        file.create_virtual_dataset("x", layout)

    return write


def linking(link, **arrays):
    """A writer of arrays, and of a link ``x``."""

    def write(file):
        for name, array in arrays.items():
            file[name] = array
        file["x"] = link

    return write


def in_raw_file(file):
    file.create_dataset("x", (6, 2), "f4", external=[("raw.bin", 4, 48)])[:] = ROWS


WHOLE = view((np.s_[:], ("source.h5", "y", (6, 2))))
ELSEWHERE = {
    "view": (WHOLE, "x is a view of source.h5"),
    "view by parts": (
        view((np.s_[3:], ("source.h5", "y", (6, 2), np.s_[3:])), (np.s_[:3], ("source.h5", "y", (6, 2), np.s_[:3]))),
        "x is a view of source.h5",
    ),
    "view by columns": (
        view(*((np.s_[:, [column]], ("source.h5", "y", (6, 2), np.s_[:, [column]])) for column in (0, 1))),
        "x is a view of source.h5",
    ),
    "external storage": (in_raw_file, "x lies in raw.bin"),
    "external link": (linking(h5py.ExternalLink("source.h5", "/y")), "x is a link to source.h5:/y"),
    "soft link": (linking(h5py.SoftLink("/y"), y=ROWS), "x is a link to /y"),
}  # fmt: skip


@pytest.mark.parametrize(("write", "problem"), ELSEWHERE.values(), ids=list(ELSEWHERE))
def test_what_lies_elsewhere_is_followed_only_if_asked_for(written, refused, monkeypatch, write, problem):
    path = written(write)
    remedy = (
        r"; write the data into the file itself, or set external: follow \(of sdc score: --external follow\) if you"
    )
    refused(lambda: read(path), rf"a.h5: {problem}{remedy}")
    assert np.array_equal(read(path, "follow"), ROWS)
    monkeypatch.setenv("HDF5_VDS_PREFIX", "/elsewhere")
    refused(lambda: read(path, "follow"), rf"a.h5: {problem}, and HDF5_VDS_PREFIX may lead anywhere; unset it")


def test_files_that_are_followed_are_told(written):
    for name, other in (("view", "source.h5"), ("external storage", "raw.bin"), ("external link", "source.h5")):
        source = HDF5(written(ELSEWHERE[name][0]), "follow")
        source.read("x")
        assert [path.name for path in source.followed] == [other]


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (view((np.s_[:], ("gone.h5", "y", (6, 2)))), r"x is a view of gone.h5:y, which is missing; put it there"),
        (view((np.s_[:], ("source.h5", "gone", (6, 2)))), r"x is a view of source.h5:gone, which is missing; put it"),
        (view((np.s_[:], ("source.h5", "y", (9, 2), np.s_[3:9]))), r"x takes more of source.h5:y than its shape \(6,"),
        (view((np.s_[:], ("source.h5", "y", (9, 2))), shape=(9, 2)), r"x takes more of source.h5:y than its shape"),
        (view((np.s_[:6], ("source.h5", "y", (6, 2))), shape=(9, 2)), r"x has 18 numbers, its sources cover 12, the r"),
        (view(*[(np.s_[:6], ("source.h5", "y", (6, 2)))] * 2, shape=(12, 2)), r"x interleaves its sources; write the"),
        (view((np.s_[::2], ("source.h5", "y", (6, 2))), shape=(12, 2)), r"x interleaves its sources"),
        (view((np.s_[:], ("%%b.h5", "y", (6, 2)))), r"x names its sources by a pattern, %%b.h5:y; write out their"),
        (linking(h5py.ExternalLink("gone.h5", "/y")), r"x is a link to gone.h5:/y, which is missing"),
        (linking(h5py.ExternalLink("source.h5", "/z")), r"x is a link to source.h5:/z, which is missing"),
        (linking(h5py.SoftLink("/gone")), r"x is a link to /gone, which is missing"),
        (linking(h5py.SoftLink("/x")), r"x is a link to /x, which is missing"),
        (linking(h5py.SoftLink("/")), r"x is a group, no array; name an array"),
    ],
)  # fmt: skip
def test_what_is_followed_must_be_there(written, refused, write, problem):
    path = written(write)
    refused(lambda: read(path, "follow"), rf"a.h5: {problem}")


def test_sources_of_external_storage_must_be_whole(written, refused, tmp_path):
    path = written(in_raw_file)
    content = (tmp_path / "raw.bin").read_bytes()
    (tmp_path / "raw.bin").write_bytes(content[:-1])
    refused(lambda: read(path, "follow"), r"a.h5: x lies in raw.bin, which is truncated; put it there")
    (tmp_path / "raw.bin").unlink()
    refused(lambda: read(path, "follow"), r"a.h5: x lies in raw.bin, which is missing; put it there")


def test_sources_that_go_later_are_missed(written, tmp_path):
    opened = HDF5(written(WHOLE), "follow").rows("x")
    (tmp_path / "source.h5").unlink()
    with pytest.raises(SDCError, match="is a view of source.h5:y, which is missing"), opened():
        pass


def test_views_of_views_end(written, refused, tmp_path):
    for number in range(9):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            view((np.s_[:], (f"{number - 1}.h5" if number else "source.h5", "x" if number else "y", (6, 2))))(file)
    assert np.array_equal(read(tmp_path / "3.h5", "follow"), ROWS)
    refused(
        lambda: read(tmp_path / "8.h5", "follow"), r"8.h5: x is a view of views of views; write the data into one file"
    )
    path = written(view((np.s_[:], ("a.h5", "x", (6, 2)))))
    refused(lambda: read(path, "follow"), r"a.h5: x is a view of views of views")


def test_a_view_within_the_file_need_not_be_asked_for(written):
    def write(file):
        file["y"] = ROWS
        view((np.s_[:], (".", "y", (6, 2))))(file)

    assert np.array_equal(read(written(write)), ROWS)


WRITTEN = {
    "contiguous": {}, "chunks": {"chunks": (4, 2)}, "gzip": {"chunks": (4, 2), "compression": "gzip"},
    "checksums": {"chunks": (1, 2), "fletcher32": True}, "resizable": {"maxshape": (None, 2)},
}  # fmt: skip


@pytest.mark.parametrize("settings", WRITTEN.values(), ids=list(WRITTEN))
@pytest.mark.parametrize("kind", ["<f4", ">f8", "<f2", "i8", "u1", "?"])
@pytest.mark.parametrize("block", [0, 512])
def test_whatever_the_layout(path, settings, kind, block):
    with h5py.File(path, "w", userblock_size=block) as file:
        file.create_dataset("x", data=ROWS.astype(kind), **settings)
    assert np.array_equal(read(path), ROWS.astype(kind))


def test_numbers_that_numpy_knows_by_another_type(written):
    """Twelve bits in sixteen: where they lie in the file they are not what NumPy would take them for."""

    def write(file):
        kind = h5py.h5t.STD_I16LE.copy()
        kind.set_precision(12)
        kind.set_offset(4)
        h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,)))
        file["x"][:] = [1, -2, 3]

    assert read(written(write)).tolist() == [1, -2, 3]


def test_compact_arrays_and_texts(written):
    def write(file):
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((3,)), layout)
        file["x"][:] = [1, 2, 3]
        file["fixed"] = np.array([b"a", "é".encode()])
        file["any"] = ["a", "é"]

    path = written(write)
    assert read(path).tolist() == [1, 2, 3]
    assert [HDF5(path, "refuse").read(name).tolist() for name in ("fixed", "any")] == [["a", "é"]] * 2


def part_of_chunks(file):
    file.create_dataset("x", (6, 2), "f4", chunks=(2, 2))[:4] = 1


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (lambda file: file.create_dataset("x", (10**12, 2), "f4"), r"x of shape \(1000000000000, 2\) has 0 of its 800"),
        (lambda file: file.create_dataset("x", (10**12, 2), "f4", chunks=(10, 2)), r"has 0 of its 100000000000 chunks"),
        (lambda file: file.create_dataset("x", (6, 2), "f4"), r"has 0 of its 48 bytes, the rest would read as zeros;"),
        (lambda file: file.create_dataset("x", (3,), h5py.string_dtype()), r"has 0 of its 24 bytes, the rest would re"),
        (part_of_chunks, r"x of shape \(6, 2\) has 2 of its 3 chunks, the rest would read as zeros; write it again"),
        (lambda file: file.create_dataset("x", (2,), "f4", chunks=(10**9,), maxshape=(None,)), r"a chunk of x would t"),
        (lambda file: file.__setitem__("x", h5py.Empty("f4")), r"x is empty; write it again"),
        (lambda file: file.create_dataset("x", (2,), h5py.ref_dtype), r"x holds references or lists; write numbers or"),
        (lambda file: file.create_dataset("x", (2,), h5py.vlen_dtype("i4")), r"x holds references or lists; write num"),
        (lambda file: file.create_dataset("x", (2,), h5py.enum_dtype({"a": 0})), r"x holds an enumeration; write numb"),
        (lambda file: file.create_dataset("x", data=np.array([b"\xff\xfe"])), r"cannot be read as .h5 \(.*decode"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_file(written, refused, monkeypatch, write, problem):
    monkeypatch.setattr("sdc.storage.sources.available_bytes", lambda: 10**9)
    path = written(write)
    refused(lambda: read(path), rf"a.h5: .*{problem}")


def test_groups_are_no_arrays(written):
    source = HDF5(written(lambda file: (file.create_group("g"), file.__setitem__("x", ROWS))), "refuse")
    assert (source.names, source.groups) == (["x"], ["g"])


def test_links_are_not_followed_to_find_names(written, tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")  # whoever opens it waits for ever
    path = written(
        lambda file: (file.__setitem__("x", ROWS), file.__setitem__("z", h5py.ExternalLink("pipe.h5", "/y")))
    )
    assert np.array_equal(read(path), ROWS)
