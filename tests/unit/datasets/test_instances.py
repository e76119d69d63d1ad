import dataclasses
import types

import h5py
import numpy as np
import pytest

from sdc.datasets.instances import Instances
from sdc.datasets.problems import Problems
from sdc.errors import SDCError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Things(Instances):
    title = "Things"

    def images(self, problems):
        truth = [{"easy": np.array([3, 1]), "junk": np.array([0])}, {"easy": np.array([2]), "junk": np.array([], int)}]
        database = [f"things/{place:04}.png" for place in range(4)]
        queries, train = ["asked/0000.png", "asked/0001.png"], ["others/0000.png", "others/0001.png"]
        return self.list_instances(database, queries, truth, train, [5, 0], problems=problems, sources={})


def plain(relevance):
    return {row: {name: rows.tolist() for name, rows in lists.items()} for row, lists in relevance.items()}


def test_database_queries_and_training_items_in_turn(make_images):
    root = make_images({"things": 4, "asked": 2, "others": 2})
    manifest = Things(root=str(root)).prepare()
    assert [manifest.rows(split).tolist() for split in ("database", "query", "train")] == [[0, 1, 2, 3], [4, 5], [6, 7]]
    assert list(manifest.labels) == [()] * 6 + [(5,), (0,)]
    assert plain(manifest.relevance) == {4: {"easy": [1, 3], "junk": [0]}, 5: {"easy": [2], "junk": []}}
    assert manifest.facts["label_kind"] == "instance"
    assert manifest.facts["dropped_files"] == 0


def test_what_is_left_out_leaves_the_ground_truth_too(make_images):
    root = make_images({"things": 4, "asked": 2, "others": 2})
    for gone in ("things/0001.png", "asked/0000.png", "others/0000.png"):
        (root / gone).unlink()
    with pytest.raises(SDCError, match="3 of 8 listed files are missing"):
        Things(root=str(root)).prepare()
    manifest = Things(root=str(root), on_error="skip").prepare()
    assert list(manifest.paths) == [
        "things/0000.png", "things/0002.png", "things/0003.png", "asked/0001.png", "others/0001.png",
    ]  # fmt: skip
    assert list(manifest.labels)[-1] == (0,)
    assert plain(manifest.relevance) == {3: {"easy": [1], "junk": []}}
    assert {item["path"] for item in manifest.facts["dropped"]} == {
        "things/0001.png", "asked/0000.png", "others/0000.png",
    }  # fmt: skip
    (root / "things/0003.png").unlink()
    (root / "asked/0000.png").write_bytes((root / "asked/0001.png").read_bytes())
    assert plain(Things(root=str(root), on_error="skip").prepare().relevance) == {
        2: {"easy": [], "junk": [0]},
        3: {"easy": [1], "junk": []},
    }


def test_of_thousands_left_out_the_first_are_named(make_images):
    root = make_images({"things": 2})
    paths = [f"things/{place:04}.png" for place in range(1500)]
    things = Things(root=str(root), on_error="skip")
    problems = Problems(gather=True)
    facts = things.split(things.list_instances(paths, [], [], problems=problems, sources={}), problems).facts
    assert (len(facts["dropped"]), facts["dropped_files"], facts["counts"]["database"]) == (1000, 1498, 2)


@pytest.fixture
def vectors(tmp_path):
    """Vectors of the things and of what is asked for, a file each; their numbers say which they are."""
    np.save(tmp_path / "database.npy", np.arange(8, dtype=np.float32).reshape(4, 2))
    np.savez(tmp_path / "query.npz", features=np.float32([[9, 9], [21, 21], [20, 20]]), ids=["?", "0001", "0000"])
    names = {"database_vectors": "database.npy", "query_vectors": "query.npz"}
    return {key: str(tmp_path / name) for key, name in names.items()}


class Single(Things):
    """Things without training items."""

    def list_instances(self, database, queries, truth, train, train_labels, **rest):
        return super().list_instances(database, queries, truth, **rest)


def test_vectors_in_the_order_of_the_lists_or_by_id_need_no_images(vectors):
    dataset = Single(root="nowhere", **vectors)
    manifest = dataset.prepare()
    assert len(manifest) == 6
    assert plain(manifest.relevance) == {4: {"easy": [1, 3], "junk": [0]}, 5: {"easy": [2], "junk": []}}
    # Of the images alone, too, before they are split.
    for each in (manifest, dataset.images(Problems())):
        rows = dataset.vectors(each).take(np.arange(6))
        assert rows.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [20, 20], [21, 21]]
    assert dataset.vector_files() == list(vectors.values())
    assert dataset.missing_vectors() == []
    assert Single(root="nowhere").vectors(manifest) is None


def test_vectors_that_do_not_fit_the_lists(vectors, tmp_path):
    with pytest.raises(SDCError, match="Things: query_vectors is not set; vectors and images cannot be mixed"):
        Single(database_vectors=vectors["database_vectors"]).prepare()
    with pytest.raises(SDCError, match=r"gone.npy: no such file .*; put the vectors there or name their file"):
        Single(**{**vectors, "query_vectors": str(tmp_path / "gone.npy")}).prepare()
    with pytest.raises(SDCError, match=r"no vector is of others/0000.png \(2 such\); add it, or run prepare again"):
        Things(**vectors).prepare()
    np.savez(tmp_path / "query.npz", features=np.full((3, 2), np.nan), ids=["0000", "0000", "2"])
    np.save(tmp_path / "database.npy", np.zeros((3, 2)))
    problems = Problems(gather=True)
    Single(**vectors).scan(problems)
    assert [line.removeprefix(f"{tmp_path}/").partition(";")[0] for line in problems.lines] == [
        "database.npy: 3 rows where 4 are listed",
        "query.npz: id 0000 is that of several rows (1 such)",
        "query.npz: row 0 holds NaN or infinity (3 such)",
    ]
    np.save(tmp_path / "database.npy", np.zeros((4, 2)))
    with pytest.raises(SDCError, match=r"query.npz: no vector is of asked/0001.png \(1 such\)"):
        Single(**vectors).prepare()


def test_vectors_in_other_files_are_followed_if_that_is_asked_for(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["y"] = np.ones((8, 3), np.float32)
    ids = [*(f"things/{place:04}.png" for place in range(4)), "asked/x", "asked/y", "others/x", "others/y"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = h5py.ExternalLink("source.h5", "/y")
    given = {"database_vectors": str(tmp_path / "a.h5")}
    images = types.SimpleNamespace(paths=ids, rows=lambda split: np.arange(8))
    with pytest.raises(SDCError, match=r"a.h5: features is a link to source.h5:/y; write .* or set external: follow"):
        Things(**given, query_vectors=given["database_vectors"]).vectors(images)
    following = Things(**given, query_vectors=given["database_vectors"], external="follow")
    assert following.vectors(images).shape == (8, 3)
