import signal
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from sdc import Index, hamming
from sdc.errors import SDCError, StorageError
from sdc.head import linear_head
from sdc.search import engines
from sdc.search.map import map_of
from sdc.storage.index import RECORD

NAMES = ["flat", "ivf", "hnsw", "multihash"]


@hypothesis.settings(max_examples=25)
@hypothesis.given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 5), st.sampled_from([8, 24, 64, 136]))
def test_flat_search_is_that_of_all_distances(seed, count, k, bits):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 256, (count, bits // 8), np.uint8)
    ids = generator.permutation(10 * count)[:count]
    queries = generator.integers(0, 256, (4, bits // 8), np.uint8)
    k = min(k, count)
    distances, found = Index.build(codes, ids).search(queries, k)
    exact = hamming.distances(queries, codes).astype(int)
    assert np.array_equal(distances, np.sort(exact, axis=1)[:, :k])
    rows = Index.build(codes, ids).rows_of(found)
    assert np.array_equal(np.take_along_axis(exact, rows, 1), distances)
    assert all(len(set(row)) == k for row in found.tolist())


@pytest.mark.parametrize("name", NAMES)
def test_add_remove_and_merge_are_as_building_from_all(codes, name, tmp_path):
    database, ids = codes(300), np.arange(300) * 7
    index = Index.build(database[:200], ids[:200], name, paths=map(str, ids[:200]), labels=["a"] * 200)
    index.save(tmp_path / "i")
    index = Index.load(tmp_path / "i")
    index.add(database[200:250], ids[200:250], paths=map(str, ids[200:250]))
    index.merge(Index.build(database[250:], ids[250:], paths=map(str, ids[250:])))
    index.remove(ids[:100:3])
    index.save()
    index = Index.load(tmp_path / "i")
    kept = np.setdiff1d(ids, ids[:100:3])
    assert index.ids.tolist() == kept.tolist()
    assert list(index.items.paths) == [str(each) for each in kept]
    assert [index.items.labels[0], index.items.labels[len(kept) - 1]] == ["a", ""]
    assert np.array_equal(index.codes, database[kept // 7])
    distances, found = index.search(database[kept[:50] // 7], 1)
    assert (distances == 0).all() and np.isin(found, kept).all()
    assert sorted(path.name for path in (tmp_path / "i").iterdir()) == ["engine-2.faiss", RECORD, "items-2.h5"]


CHANGE = st.tuples(st.sampled_from(["add", "merge", "remove"]), st.integers(0, 4), st.integers(0, 2**16))


@hypothesis.settings(max_examples=30)
@hypothesis.given(st.sampled_from(NAMES), st.lists(CHANGE, max_size=8))
def test_any_changes_are_those_of_a_dictionary(name, changes):
    generator = np.random.default_rng(7)
    database = generator.integers(0, 256, (50, 2), np.uint8)
    index, model, greatest = Index.build(database, engine=name), dict(enumerate(map(bytes, database))), 49
    for kind, count, seed in changes:
        some = np.random.default_rng(seed).integers(0, 256, (count, 2), np.uint8)
        if kind == "remove":
            ids = np.random.default_rng(seed).choice([*model], min(count, len(model)), replace=False)
            index.remove(ids)
            model = {each: code for each, code in model.items() if each not in ids}
            continue
        if kind == "add":
            index.add(some)
        else:
            index.merge(Index.build(some, engine="flat"), new_ids=True)
        model |= dict(enumerate(map(bytes, some), greatest + 1))
        greatest += count
    assert dict(zip(index.ids.tolist(), map(bytes, index.codes), strict=True)) == model
    if model:
        distances, found = index.search(index.codes, 1)
        assert (distances == 0).all() and [model[each] for each in found[:, 0].tolist()] == [*model.values()]


def test_ids_go_on_from_the_greatest(codes):
    index = Index.build(codes(3), [5, 9, 2])
    index.add(codes(2))
    assert index.ids.tolist() == [5, 9, 2, 10, 11]


def test_an_id_that_was_removed_does_not_come_again(codes, tmp_path):
    index = Index.build(codes(3), [5, 9, 2])
    index.remove([9, 2])
    index.save(tmp_path / "i")
    index = Index.load(tmp_path / "i")
    index.add(codes(1))
    index.merge(Index.build(codes(2)), new_ids=True)
    assert index.ids.tolist() == [5, 10, 11, 12]
    assert index.search(codes(1), 4)[1][0].tolist().count(5) == 1


@pytest.mark.parametrize("ids", [None, [4, 1, 7]])
def test_rows_that_are_nothing_have_no_id_whether_ids_are_rows_or_not(codes, ids):
    index = Index.build(codes(3), ids)
    assert index.ids_of(np.array([[2, -1], [0, -1]])).tolist() == [[7, -1], [4, -1]] if ids else [[2, -1], [0, -1]]


def test_an_index_can_be_emptied_and_filled_again(codes, tmp_path):
    for name in NAMES:
        index = Index.build(codes(100), engine=name)
        index.remove(np.arange(100))
        index.save(tmp_path / name)
        index = Index.load(tmp_path / name)
        with pytest.raises(SDCError, match="the index is empty; add codes first"):
            index.search(codes(1), 1)
        index.add(codes(5))
        assert index.search(codes(5)[:1], 1)[0].tolist() == [[0]]


def test_what_an_engine_does_not_find_has_id_minus_one(codes):
    index = Index.build(codes(100, flip=0.0), engine="multihash", flips=0)
    _, found = index.search(codes(1, flip=0.0), 100)
    assert (found[0, -1], found[0, 0] >= 0) == (-1, True)
    assert set(np.flatnonzero((index.codes == codes(1, flip=0.0)).all(axis=1))) <= set(found[0].tolist())


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda index, codes: index.search(codes(2), 0), "k is 0, and the index has 10 codes; give 1 to 10"),
        (lambda index, codes: index.search(codes(2), 11), "k is 11, and the index has 10 codes; give 1 to 10"),
        (lambda index, codes: index.search(codes(2, 32), 1), "the queries have 32 bits, not 64; encode them with"),
        (lambda index, codes: index.search(codes(2).astype(float), 1), "codes are uint8 of shape .* not float64"),
        (lambda index, codes: index.search(codes(2)[0], 1), r"codes are uint8 of shape .* of shape \(8,\)"),
        (lambda index, codes: index.add(codes(2), [3, 20]), "id 3 is in the index already"),
        (lambda index, codes: index.add(codes(2), [20, 20]), "id 20 is there twice"),
        (lambda index, codes: index.add(codes(2), [-1, 20]), "ids are whole numbers from 0 to 9223.*, and one is -1"),
        (lambda index, codes: index.add(codes(2), [10**21, 20]), f"and one is {10**21}; names go into paths"),
        (lambda index, codes: index.add(codes(2), np.array([20, 2**63], np.uint64)), f"and one is {2**63}; names"),
        (lambda index, codes: index.remove([10**21]), f"and one is {10**21}; names go into paths"),
        (lambda index, codes: index.add(codes(2), [20]), "there are 1 ids for 2 codes; give one for each"),
        (lambda index, codes: index.add(codes(2), ["a", "b"]), r"and one is 'a'; names go into paths"),
        (lambda index, codes: index.add(codes(2), [20, 21], paths=["x"]), "there are 1 paths for 2 codes"),
        (lambda index, codes: index.add(codes(2, 72)), "the codes have 72 bits, not 64"),
        (lambda index, codes: index.remove([3, 99]), "id 99 is not in the index"),
        (lambda index, codes: index.merge(Index.build(codes(3, 32))), "is of another head or code length"),
        (lambda index, codes: index.merge(Index.build(codes(3))), "id 0 is in the index already"),
        (lambda index, codes: index.save(), "was neither loaded nor saved; name a folder"),
        (lambda index, codes: Index.build(codes(9), engine="faiss"), "'faiss' is not known; allowed: auto, flat"),
        (lambda index, codes: Index.build(codes(9), engine="flat", nprobe=2), "nprobe: is a setting of ivf"),
        (lambda index, codes: Index.build(codes(9), engine="ivf", nprobe=0), "nprobe: 0 is not allowed"),
        (lambda index, codes: Index.build(codes(9), head=linear_head(np.ones((8, 3)), np.ones(8))), "have 64 bits, no"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(codes, call, line):
    index = Index.build(codes(10))
    with pytest.raises(SDCError, match=line) as caught:
        call(index, codes)
    assert "\n" not in str(caught.value)
    assert index.ids.tolist() == list(range(10)) and np.array_equal(index.codes, codes(10))


def test_an_index_of_another_head_is_not_merged(codes):
    heads = [linear_head(np.full((64, 3), value), np.zeros(64)) for value in (1.0, 2.0)]
    indexes = [Index.build(codes(3), ids, head=head) for ids, head in zip(([0, 1, 2], [3, 4, 5]), heads, strict=True)]
    with pytest.raises(SDCError, match="of another head or code length; encode both with the same head"):
        indexes[0].merge(indexes[1])


def test_a_head_lies_in_the_index_and_is_loaded_with_it(codes, tmp_path):
    head = linear_head(np.random.default_rng(0).standard_normal((64, 3)), np.zeros(64))
    Index.build(codes(3), head=head, facts={"dataset": "pets"}).save(tmp_path)
    index = Index.load(tmp_path, {"dataset": "pets"})
    assert np.array_equal(index.head.arrays["0.weight"], head.arrays["0.weight"])
    with pytest.raises(StorageError, match="is of dataset pets, expected dogs"):
        Index.load(tmp_path, {"dataset": "dogs"})


def test_the_same_codes_are_the_same_bytes(codes, tmp_path):
    for name in NAMES:
        for copy in ("a", "b"):
            Index.build(codes(300), engine=name).save(tmp_path / name / copy)
        first, second = ({p.name: p.read_bytes() for p in (tmp_path / name / copy).iterdir()} for copy in ("a", "b"))
        assert first == second, name


def test_an_index_that_another_process_changed_is_not_lost(codes, tmp_path):
    Index.build(codes(10)).save(tmp_path)
    first, second = Index.load(tmp_path), Index.load(tmp_path)
    first.add(codes(2), [20, 21])
    second.add(codes(2), [30, 31])
    first.save()
    with pytest.raises(StorageError, match="another process has changed the index meanwhile; load it again"):
        second.save()
    assert Index.load(tmp_path).ids.tolist() == [*range(10), 20, 21]
    third = Index.load(tmp_path)
    first.save()
    with pytest.raises(StorageError, match="another process has changed the index meanwhile; load it again"):
        third.add(codes(1))
    # What was loaded before goes on answering.
    first.add(codes(1))
    first.save()
    assert Index.load(tmp_path).ids.tolist() == [*range(10), 20, 21, 22]


def test_a_mapped_index_answers_after_it_was_replaced(codes, tmp_path):
    Index.build(codes(50), paths=map(str, range(50))).save(tmp_path)
    reader = Index.load(tmp_path)
    writer = Index.load(tmp_path)
    writer.remove(np.arange(40))
    writer.save()
    assert reader.search(codes(50)[:3], 1)[0].tolist() == [[0], [0], [0]]
    assert (reader.items.paths[0], len(Index.load(tmp_path))) == ("0", 10)


KILLED = """
import os, signal, sys
import numpy as np
from sdc import Index
from sdc.storage import files
moment = int(sys.argv[2])
index = Index.load(sys.argv[1])
index.add(np.zeros((5, 8), np.uint8))
publish = files._publish
calls = 0
def counted(*arguments):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    publish(*arguments)
files._publish = counted
index.save()
"""


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_kill_leaves_the_old_index(codes, tmp_path, moment):
    Index.build(codes(20)).save(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(moment)])
    assert killed.returncode == -signal.SIGKILL
    index = Index.load(tmp_path)
    assert index.ids.tolist() == list(range(20))
    index.add(codes(1), [77])
    index.save()
    assert Index.load(tmp_path).ids.tolist() == [*range(20), 77]
    # What the killed writer left is gone.
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", ["engine-1.faiss", "items-1.h5", RECORD])
@pytest.mark.parametrize("how", ["cut", "flip", "missing"])
def test_a_damaged_index_is_named(codes, tmp_path, damage, how):
    folder = tmp_path / "results/index"
    Index.build(codes(200), paths=["x/y"] * 200).save(folder)
    path = folder / damage
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.unlink() if how == "missing" else path.write_bytes(data[: len(data) // 2] if how == "cut" else data)
    with pytest.raises(StorageError, match="index") as caught:
        index = Index.load(folder)
        list(index.items.paths)
    assert "regenerate it with: snakemake --cores 1 --force" in str(caught.value) or how == "missing"
    assert str(caught.value).endswith("results/index") or how == "missing"


@pytest.mark.parametrize("engine", NAMES)
def test_any_byte_that_changes_is_found_or_means_nothing(codes, tmp_path, engine):
    database, paths = codes(60), [f"{row}.png" for row in range(60)]
    head = linear_head(np.ones((64, 3)), np.zeros(64))
    Index.build(database, engine=engine, paths=paths, labels=paths, head=head).save(tmp_path)
    generator, found = np.random.default_rng(0), 0
    for path in list(tmp_path.iterdir()):
        data = path.read_bytes()
        for place in generator.integers(0, len(data), 15).tolist():
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << int(generator.integers(8))]) + data[place + 1 :])
            try:
                index = Index.load(tmp_path)
                assert np.array_equal(index.codes, database)
                assert list(index.items.paths) == list(index.items.labels) == paths
                assert np.array_equal(index.head.arrays["0.weight"], head.arrays["0.weight"])
            except StorageError:
                found += 1
        path.write_bytes(data)
    assert found > 30


def test_no_index_there(tmp_path):
    with pytest.raises(StorageError, match="nothing: no such file or folder"):
        Index.load(tmp_path / "nothing")
    with pytest.raises(StorageError, match=r"holds no index \(index.json is missing\); name the folder of one"):
        Index.load(tmp_path)


def test_engine_that_does_not_fit_its_items_is_refused(codes, tmp_path, monkeypatch):
    index = Index.build(codes(5))
    monkeypatch.setattr(index, "_engine", engines.faiss().IndexBinaryFlat(64))
    index.save(tmp_path)
    with pytest.raises(StorageError, match="has 0 codes of 5 items"):
        Index.load(tmp_path)


def test_a_map_is_kept_until_the_codes_change(codes, tmp_path):
    index = Index.build(codes(20))
    index.map = map_of(index.codes)
    index.save(tmp_path / "i")
    for change in (lambda index: index.remove([3]), lambda index: index.add(codes(1))):
        index = Index.load(tmp_path / "i")
        assert index.map.rows.tolist() == [*range(20)]
        index.save(tmp_path / "same")
        assert np.array_equal(Index.load(tmp_path / "same").map.places, index.map.places)
        change(index)
        index.save(tmp_path / "other")
        assert Index.load(tmp_path / "other").map is None
