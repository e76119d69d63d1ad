import io
import struct
import zipfile

import numpy as np
import pytest

from sdc.errors import SDCError
from sdc.storage.numpy_files import NPY, NPZ
from sdc.storage.sources import naming

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)


def header(text, version=1, length=None):
    """The beginning of a file as NumPy writes it, with a header of this text."""
    content = text.encode() + b"\n"
    size = len(content) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", size) + content


def described(shape, kind="<f4", order=False):
    return header(f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape}, }}")


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(path, members, **settings):
    with zipfile.ZipFile(path, "w", **settings) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def read(path):
    """The array ``x`` of a file, read whole and by rows."""
    with naming(path):
        source = NPY(path) if path.suffix == ".npy" else NPZ(path)
        with source.rows("x")() as array:
            rows = np.array(array)
        assert np.array_equal(source.read("x"), rows)
    return rows


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    "array",
    [ROWS, np.asfortranarray(ROWS), ROWS.astype(">f8"), ROWS[::2, ::-1], np.array(["a", "bé"]), np.zeros((0, 3)), 3.0],
    ids=["C", "Fortran", "big-endian", "strided", "text", "no rows", "0-d"],
)
def test_whatever_the_order_of_numbers_and_bytes(tmp_path, suffix, array):
    path = tmp_path / f"a{suffix}"
    for save in (np.savez, np.savez_compressed) if suffix == ".npz" else (np.save,):
        save(path, x=array) if suffix == ".npz" else save(path, array)
        assert np.array_equal(read(path), array)
        assert read(path).shape == np.shape(array)


HEADERS = {
    "rows": (described((10**12, 2)) + bytes(48), r"is truncated: shape \(1000000000000, 2\) of float32 takes 80000000"),
    "product": (described((2**62, 2**62)) + bytes(48), r"is truncated"),
    "one row": (described((7, 2)) + bytes(48), r"is truncated: shape \(7, 2\) of float32 takes 56 bytes, it has 48"),
    "too long": (described((5, 2)) + bytes(48), r"is too long: shape \(5, 2\) of float32 takes 40 bytes, it has 48"),
    "negative": (described((-6, 2)) + bytes(48), r"shape \(-6, 2\) is negative"),
    "huge item": (described((6,), "<U2147483647") + bytes(48), r"descr is not a valid dtype"),
    "long header": (header("{" + " " * 20_000 + "}"), r"its header takes 20003 bytes"),
    "claimed header": (header("{}", 2, 2**31), r"its header takes 2147483648 bytes"),
    "deep header": (header("(" * 9_000), r"\("),
    "call": (header("__import__('os').system('touch called')"), r"malformed node or string"),
    "no header": (b"\x93NUMPY", r"EOF: reading magic string"),
    "nothing": (b"", r"EOF: reading magic string"),
    "version": (header("{}", 3), r"version \(3, 0\) of the format is for structured arrays"),
    "objects": (npy(np.array([{}], object)), r"it holds objects, which only a pickle could bring back, and a pickle m"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(("content", "message"), HEADERS.values(), ids=list(HEADERS))
def test_headers_that_do_not_fit_the_file(tmp_path, refused, monkeypatch, suffix, content, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content) if suffix == ".npy" else zipped(path, [("x.npy", content)])
    refused(lambda: read(path), rf"a{suffix}: cannot be read as {suffix} .*{message}")
    assert not (tmp_path / "called").exists()


def test_a_name_twice_is_refused(tmp_path, refused):
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped(tmp_path / "a.npz", [("x.npy", npy(ROWS)), ("x.npy", npy(-ROWS))])
    refused(lambda: read(tmp_path / "a.npz"), r"a.npz: holds x.npy 2 times; write it again, each name once")


def test_a_checksum_that_does_not_match(tmp_path, refused):
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = zipped(tmp_path / "a.npz", [("x.npy", npy(ROWS))], compression=compression)
        content = bytearray(path.read_bytes())
        place = content.index(b"PK\x01\x02") + 16  # the checksum in the central directory
        content[place] ^= 1
        path.write_bytes(content)
        refused(
            lambda path=path: read(path),
            r"a.npz: cannot be read as .npz \(Bad CRC-32 for file 'x.npy'\); write it again",
        )


def test_a_name_that_is_damaged(tmp_path, refused):
    path = zipped(tmp_path / "a.npz", [("ids.npy", npy(ROWS)), ("x.npy", npy(ROWS))])
    path.write_bytes(b"ads.npy".join(path.read_bytes().rsplit(b"ids.npy", 1)))
    refused(lambda: read(path), r"File name in directory 'ads.npy' and header b'ids.npy' differ")


def test_a_member_that_is_hidden(tmp_path, refused):
    """The comment of one member takes in the next."""
    path = zipped(tmp_path / "a.npz", [("x.npy", npy(ROWS)), ("ids.npy", npy(ROWS))])
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\x01\x02")
    content[first + 32] = content.index(b"PK\x05\x06") - content.index(b"PK\x01\x02", first + 1)
    path.write_bytes(content)
    assert zipfile.ZipFile(path).namelist() == ["x.npy"]
    refused(lambda: read(path), r"a.npz: cannot be read as .npz \(it lists 1 of 2 members\); write it again")


def test_what_inflates_beyond_memory(tmp_path, refused):
    """Four gigabytes of zeros in four megabytes: the header tells before anything is inflated."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as stream:
        stream.write(described((2**26,), "<f4"))
        for _ in range(16):
            stream.write(bytes(2**24))
    import sdc.storage.sources as sources

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "available_bytes", lambda: 2**27)
        refused(lambda: NPZ(path).read("x"), r"a.npz: x would take 0.3 GB of memory where 0.1 GB are left")
    # More in the archive than the header says.
    zipped(path, [("x.npy", described((3, 2)) + bytes(10**6))], compression=zipfile.ZIP_DEFLATED)
    refused(lambda: read(path), r"it is too long: shape \(3, 2\) of float32 takes 24 bytes, it has 1000000")


def test_methods_of_compression_that_numpy_does_not_use(tmp_path, refused):
    path = zipped(tmp_path / "a.npz", [("x.npy", npy(ROWS))], compression=zipfile.ZIP_BZIP2)
    refused(lambda: read(path), r"x is compressed by a method that NumPy does not use")


def test_members_that_are_no_arrays_do_not_count(tmp_path):
    assert list(NPZ(zipped(tmp_path / "a.npz", [("x.npy", npy(ROWS)), ("README", "text")])).names) == ["x"]


def test_a_file_that_shrinks_later_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    opened = NPY(tmp_path / "a.npy").rows("")
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-4])
    with pytest.raises(SDCError, match=r"is truncated"), naming(tmp_path / "a.npy"), opened():
        pass
