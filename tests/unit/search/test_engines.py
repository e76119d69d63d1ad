import sys
from pathlib import Path

import numpy as np
import pytest

from sdc import hamming
from sdc.errors import SDCError, StorageError
from sdc.plan.indexing import Indexing
from sdc.search import engines

NAMES = ["flat", "ivf", "hnsw", "multihash"]


def built(codes, name, **settings):
    bits = 8 * codes.shape[1]
    return engines.build(codes, bits, Indexing(engine=name, **settings).chosen(len(codes), bits))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [8, 64, 136])
def test_every_engine_gives_back_its_codes_and_finds_them(codes, name, bits):
    database = codes(400, bits)
    engine = built(database, name)
    assert np.array_equal(engines.codes_of(engine, bits), database)
    distances, rows = engine.search(database[:20], 5)
    found = rows >= 0
    exact = hamming.distances(database[:20], database)
    assert (distances[found] == np.take_along_axis(exact, np.maximum(rows, 0), 1)[found]).all()
    assert (distances[:, 0] == 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_file_is_read_or_mapped(codes, name, mapped, tmp_path):
    database = codes(500)
    engine = built(database, name)
    engines.write(engine, tmp_path / "file")
    again = engines.read(tmp_path / "file", name, mapped)
    assert np.array_equal(engines.codes_of(again, 64), database)
    for first, second in zip(engine.search(database[:9], 7), again.search(database[:9], 7), strict=True):
        assert np.array_equal(first, second)


def test_settings_are_the_engines_own(codes, tmp_path):
    database = codes(500)
    engines.write(built(database, "ivf", nlist=7, nprobe=3), tmp_path / "ivf")
    ivf = engines.read(tmp_path / "ivf", "ivf", True)
    assert (ivf.nlist, ivf.nprobe) == (7, 3)
    hnsw = built(database, "hnsw", links=5, ef_search=99)
    assert (hnsw.hnsw.nb_neighbors(1), hnsw.hnsw.efSearch) == (5, 99)
    multihash = built(database, "multihash", tables=3, key_bits=9, flips=2)
    assert (multihash.nhash, multihash.b, multihash.nflip) == (3, 9, 2)


def test_no_codes(codes):
    for name in ("flat", "hnsw", "multihash"):
        assert engines.codes_of(built(codes(0), name), 64).shape == (0, 8)
    with pytest.raises(SDCError, match="ivf finds the centres of its lists from codes, and there are none"):
        built(codes(0), "ivf")


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "x").write_bytes(b"IBxF and nothing more")
    with pytest.raises(StorageError, match="x: cannot be read by FAISS .*build the index again"):
        engines.read(tmp_path / "x", "flat", False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_noticed_however_little_is_left_to_write():
    engine = built(np.zeros((3, 1), np.uint8), "flat")
    with pytest.raises(OSError, match="No space left"):
        engines.write(engine, Path("/dev/full"))


def test_faiss_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(SDCError, match=r"needs FAISS; pip install 'sdc-hashing\[search\]'"):
        engines.faiss()
