import pytest

from sdc.errors import SDCError
from sdc.plan.indexing import FLAT_UP_TO, Indexing


def test_auto_is_exact_up_to_a_million_codes():
    assert Indexing().chosen(FLAT_UP_TO, 64).as_dict()["engine"] == "flat"
    assert Indexing().chosen(FLAT_UP_TO + 1, 64) == Indexing(engine="ivf", nlist=1024, nprobe=32)


@pytest.mark.parametrize("engine", ["flat", "ivf", "hnsw", "multihash"])
@pytest.mark.parametrize("count", [0, 1, 2, 50, 1000, 10**9])
@pytest.mark.parametrize("bits", [8, 64, 4096])
def test_every_size_has_settings(engine, count, bits):
    chosen = Indexing(engine=engine).chosen(count, bits)
    assert chosen.chosen(count, bits) == chosen
    if engine == "ivf":
        assert 1 <= chosen.nprobe <= chosen.nlist <= max(1, count)
    if engine == "multihash":
        assert chosen.tables * chosen.key_bits <= bits


def test_settings_that_are_given_hold():
    assert Indexing(engine="hnsw", links=8).chosen(9, 64).settings() == {
        "links": 8, "ef_construction": 40, "ef_search": 64
    }  # fmt: skip
    # Those of an engine that `auto` does not choose are for when it does.
    assert Indexing(nprobe=9).chosen(100, 64) == Indexing(engine="flat")
    assert Indexing(nprobe=9).chosen(10**8, 64).nprobe == 9


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(SDCError, match=r"index\.links: is a setting of hnsw, and the engine is ivf; leave it out"):
        Indexing(engine="ivf", links=8).chosen(9, 64)
    with pytest.raises(SDCError, match="5 tables of 16 bits need more than the 64 bits of the codes"):
        Indexing(engine="multihash", tables=5, key_bits=16).chosen(9, 64)
