import numpy as np
import pytest

from sdc.errors import StorageError
from sdc.head import linear_head
from sdc.storage.index import RECORD, Items, Map, Texts, read_index, write_index

TEXTS = ["", "a/b.png", "Käse 'x'", "a\nb", "\udcff.png"]
ITEMS = Items(np.array([7, 1, 2, 3, 4]), TEXTS, ["cat"] * 5)


def write(folder, **options):
    return write_index(folder, lambda path: path.write_bytes(b"engine"), ITEMS, {"engine": "x"}, **options)


def test_texts_are_rows_of_bytes():
    texts = Texts.of(TEXTS)
    assert (len(texts), list(texts), [texts[row] for row in range(5)]) == (5, TEXTS, TEXTS)
    with pytest.raises(IndexError):
        texts[5]
    assert (len(Texts.of([])), list(Texts.of([]))) == (0, [])
    assert (len(Texts.empty(3)), list(Texts.empty(3)), Texts.empty(3)[2]) == (3, ["", "", ""], "")


def test_items_are_chosen_and_joined():
    some = ITEMS.where(np.array([True, False, True, False, False]))
    assert (some.ids.tolist(), list(some.paths)) == ([7, 2], [TEXTS[0], TEXTS[2]])
    both = some.with_others(Items(np.array([9]), ["z"], ["dog"]))
    assert (both.ids.tolist(), list(both.paths)) == ([7, 2, 9], [*some.paths, "z"])
    assert list(both.labels) == ["cat", "cat", "dog"]


def test_what_was_written_is_read(tmp_path):
    head = linear_head(np.ones((8, 2)), np.ones(8))
    state = write(tmp_path, head=head)
    stored = read_index(tmp_path, {"engine": "x"})
    assert (stored.engine.read_bytes(), stored.facts, stored.state) == (b"engine", {"engine": "x"}, state)
    assert stored.items.ids.tolist() == ITEMS.ids.tolist()
    assert list(stored.items.paths) == TEXTS and stored.items.paths[2] == TEXTS[2]
    assert list(stored.items.labels) == ["cat"] * 5
    assert np.array_equal(stored.head.arrays["0.weight"], head.arrays["0.weight"])
    names = {"engine-1.faiss", "items-1.h5", "head-1.safetensors", RECORD}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_map_is_read_if_there_is_one(tmp_path):
    write(tmp_path)
    assert read_index(tmp_path).map is None
    rows, places = np.array([0, 3]), np.array([[0, 65535], [7, 8]], np.uint16)
    write(tmp_path, codes_map=Map(rows, places))
    assert all(map(np.array_equal, read_index(tmp_path).map, (rows, places)))


def test_the_next_one_takes_its_place_and_other_files_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path)
    (tmp_path / "engine-7.faiss").write_bytes(b"left by a writer that was killed")
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"engine-8.faiss", "items-8.h5", RECORD, "notes.txt"}
    assert read_index(tmp_path).head is None


def test_without_its_record_an_index_is_made_again(tmp_path):
    with pytest.raises(StorageError, match="index: no such file or folder; .*; name another"):
        read_index(tmp_path / "index")
    write(tmp_path / "index")
    (tmp_path / "index" / RECORD).unlink()
    with pytest.raises(
        StorageError, match=r"index/index\.json: no such file or folder; .*/index/ holds .*; name another"
    ):
        read_index(tmp_path / "index")


def test_an_index_that_has_changed_is_not_written_over(tmp_path):
    state = write(tmp_path)
    write_index(tmp_path, lambda path: path.write_bytes(b"other"), ITEMS, {"engine": "y"})
    with pytest.raises(StorageError, match="another process has changed the index meanwhile"):
        write(tmp_path, state=state)
    assert (read_index(tmp_path).facts, len(list(tmp_path.iterdir()))) == ({"engine": "y"}, 3)


@pytest.mark.parametrize(("name", "number"), [("items", 1), ("head", 1)])
def test_parts_of_another_index_are_refused(tmp_path, name, number):
    for folder, value in (("a", 1.0), ("b", 2.0)):
        items = Items(np.array([int(value)]), ["x"], [""])
        write_index(tmp_path / folder, lambda path: path.write_bytes(b"engine"), items, {},
                    head=linear_head(np.full((8, 2), value), np.ones(8)))  # fmt: skip
    suffix = {"items": "h5", "head": "safetensors"}[name]
    (tmp_path / f"b/{name}-1.{suffix}").replace(tmp_path / f"a/{name}-1.{suffix}")
    with pytest.raises(StorageError, match=rf"{name}-1.{suffix}: does not match its checksum in index.json"):
        read_index(tmp_path / "a")


def test_damage_in_texts_is_found_when_they_are_read(tmp_path):
    items = Items(np.arange(9), ["needle" * 9] * 9, [""] * 9)
    write_index(tmp_path, lambda path: path.write_bytes(b"engine"), items, {})
    path = tmp_path / "items-1.h5"
    path.write_bytes(path.read_bytes().replace(b"needle", b"noodle", 1))
    paths = read_index(tmp_path).items.paths
    with pytest.raises(StorageError, match="items-1.h5: is damaged: path of its rows 0 to"):
        paths[8]
