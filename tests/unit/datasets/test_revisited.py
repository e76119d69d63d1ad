import dataclasses
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdc import registry
from sdc.datasets.problems import Problems
from sdc.datasets.revisited import ROxford5k, RParis6k
from sdc.errors import SDCError
from tests.support.datasets import REVISITED_DATABASE as DATABASE
from tests.support.datasets import REVISITED_QUERIES as QUERIES
from tests.support.datasets import make_revisited
from tests.support.datasets import revisited_truth as truth


@pytest.fixture
def dataset(tmp_path):
    """A revisited Oxford of four images and two queries in the official layout."""
    return ROxford5k(**make_revisited(tmp_path / "images", "roxford5k"))


def rewrite(dataset, **changes):
    path = dataset._file()
    path.write_bytes(pickle.dumps({**truth(), **changes}))
    return path


def relevance(manifest):
    return {row: {name: rows.tolist() for name, rows in lists.items()} for row, lists in manifest.relevance.items()}


LISTS = {4: {"easy": [0, 3], "hard": [1], "junk": []}, 5: {"easy": [], "hard": [2], "junk": [0, 1]}}


def test_database_in_the_order_of_imlist_then_queries(dataset):
    manifest = dataset.prepare()
    assert list(manifest.paths) == [f"jpg/{name}.jpg" for name in DATABASE + QUERIES]
    assert manifest.facts["counts"] == {"images": 6, "query": 2, "database": 4, "train": 0}
    assert relevance(manifest) == LISTS
    assert manifest.facts["label_kind"] == "instance"
    expected = hashlib.sha256(dataset._file().read_bytes()).hexdigest()
    assert manifest.facts["sources"] == {"gnd_roxford5k.pkl": expected}


def test_queries_are_cropped_to_the_rounded_box_and_nothing_else_is(dataset):
    opened = dataset.opener()
    whole = Image.open(f"{dataset.root}/jpg/{QUERIES[0]}.jpg")
    # Half goes to the even number, as it does in Python, and so in DELG.
    assert np.array_equal(np.asarray(opened(f"jpg/{QUERIES[0]}.jpg")), np.asarray(whole)[2:8, 2:11])
    assert opened(f"jpg/{QUERIES[1]}.jpg").size == opened(f"jpg/{DATABASE[0]}.jpg").size == (12, 10)


def test_truncated_images_are_loaded(dataset):
    path = f"jpg/{QUERIES[0]}.jpg"
    file = Path(dataset.root, path)
    file.write_bytes(file.read_bytes()[:-40])
    picture = dataset.opener()(path)
    assert picture.size == (9, 6)
    assert picture.info["truncated"]


def test_boxes_of_images_that_were_scaled_down_are_scaled_with_them(dataset):
    path = f"jpg/{QUERIES[0]}.jpg"
    scaling = dataclasses.replace(dataset, max_megapixels=0.00003, oversized="scale")
    with Image.open(f"{dataset.root}/{path}") as file:
        file.draft(None, (6, 5))
        whole = np.asarray(file.convert("RGB"))
    picture = scaling.opener()(path)
    assert np.array_equal(np.asarray(picture), whole[1:4, 1:5])  # the box 2 2 11 8, halved


def test_matlab_counts_from_one(dataset, tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    entries = [
        {name: np.array(lists) + 1.0 for name, lists in entry.items() if name != "bbx"} for entry in truth()["gnd"]
    ]
    boxes = [entry["bbx"] for entry in truth()["gnd"]]
    content = {
        "imlist": np.array(DATABASE, object)[:, None],
        "qimlist": np.array(QUERIES, object)[:, None],
        "gnd": [{"bbx": box, **entry} for box, entry in zip(boxes, entries, strict=True)],
    }
    expected = [np.asarray(dataset.opener()(f"jpg/{name}.jpg")) for name in QUERIES]
    dataset._file().unlink()
    savemat(f"{dataset.root}/gnd_roxford5k.mat", content)
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert relevance(manifest) == LISTS
    assert list(manifest.facts["sources"]) == ["gnd_roxford5k.mat"]
    for name, picture in zip(QUERIES, expected, strict=True):
        assert np.array_equal(np.asarray(dataset.opener()(f"jpg/{name}.jpg")), picture)
    dataset._file().write_bytes(b"MATLAB 5.0 MAT-file" + b" " * 200)
    with pytest.raises(SDCError, match=r"gnd_roxford5k.mat: is not the ground truth of ROxford5k \(.*\); get it again"):
        dataset.prepare()


def test_a_pickle_that_calls_something_is_refused(dataset):
    class Evil:
        def __reduce__(self):
            return (exec, ("raise SystemExit",))

    rewrite(dataset, gnd=[{"bbx": [0, 0, 1, 1], "easy": Evil(), "hard": [], "junk": []}] * 2)
    for act in (dataset.prepare, dataset.opener):
        with pytest.raises(
            SDCError, match=r"gnd_roxford5k.pkl: is not the ground truth of ROxford5k \(asks for builtins.exec"
        ):
            act()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gnd": truth()["gnd"][:1]}, "2 queries but 1 lists"),
        (
            {"gnd": [{**truth()["gnd"][0], "hard": [4]}] * 2},
            r"query all_souls_000013: a list holds something other than 0 to 3",
        ),
        ({"gnd": [{**truth()["gnd"][0], "junk": [-1]}] * 2}, r"a list holds something other than 0 to 3"),
        ({"gnd": [{**truth()["gnd"][0], "junk": [0.5]}] * 2}, r"a list holds something other than 0 to 3"),
        ({"gnd": [{**truth()["gnd"][0], "bbx": [5, 5, 5.2, 9]}] * 2}, r"query all_souls_000013: box 5 5 5 9 is empty"),
        ({"gnd": [{**truth()["gnd"][0], "bbx": [5, 5]}] * 2}, r"not enough values"),
        ({"gnd": [{"bbx": [0, 0, 9, 9]}] * 2}, r"'easy'"),
        ({"gnd": [np.zeros(3)] * 2}, r"indices"),
        ({"gnd": [{**truth()["gnd"][0], "bbx": [0, 0, float("inf"), 9]}] * 2}, r"infinity"),
        ({"imlist": [1, 2, 3, 4]}, r"imlist holds more than names"),
        ({"qimlist": [QUERIES[0]] * 2}, r"qimlist names all_souls_000013 twice"),
    ],
)
def test_ground_truth_that_is_none(dataset, changes, why):
    rewrite(dataset, **changes)
    with pytest.raises(
        SDCError, match=rf"gnd_roxford5k.pkl: is not the ground truth of ROxford5k \(.*{why}.*\); get it again"
    ):
        dataset.prepare()
    dataset._file().write_bytes(pickle.dumps([1]))
    with pytest.raises(SDCError, match=r"holds no dict"):
        dataset.prepare()


def test_a_query_in_the_database(dataset):
    rewrite(dataset, imlist=[*DATABASE[:3], QUERIES[1]])
    with pytest.raises(SDCError, match=r"pkl: radcliffe_camera_000519 is both query and in the database \(1 such\)"):
        dataset.prepare()


def test_all_problems_are_gathered(dataset):
    rewrite(dataset, imlist=[*DATABASE[:3], QUERIES[1]])
    problems = Problems(gather=True)
    for name in DATABASE[:2]:
        (dataset._file().parent / "jpg" / f"{name}.jpg").unlink()
    manifest = dataset.scan(problems)
    assert "radcliffe_camera_000519 is both query and in the database" in problems.lines[0]
    assert (
        "2 of 6 listed files are missing: jpg/all_souls_000001.jpg, jpg/christ_church_000007.jpg" in problems.lines[1]
    )
    assert relevance(manifest) == {2: {"easy": [1], "hard": [], "junk": []}, 3: {"easy": [], "hard": [0], "junk": []}}


def test_what_is_missing_and_where(dataset, tmp_path):
    assert dataset.missing() == []
    gone = RParis6k(root=dataset.root)
    assert gone.missing() == [
        f"{dataset.root}/gnd_rparis6k.pkl: no such file or folder; {dataset.root}/ holds gnd_roxford5k.pkl, jpg"
    ]
    with pytest.raises(SDCError, match=r"gnd_rparis6k.pkl: no such file .* set root to the folder that holds it"):
        gone.prepare()
    assert len(RParis6k(root=str(tmp_path / "nowhere")).missing()) == 2


def test_counts_of_the_benchmark_are_the_published_ones():
    for name, database in (("roxford5k", 4993), ("rparis6k", 6322)):
        made = registry.build("datasets", name, {})
        published = made.protocols[made.protocol]
        assert (published.query, published.database, published.train) == (70, database, 0)
        assert (made.root, made.map_at, made.precision_at, made.truncated) == (f"data/{name}", None, (1, 5, 10), "load")
        assert f"gnd_{name}.pkl" in made.on_disk


def test_vectors_in_place_of_images(dataset, tmp_path):
    np.save(tmp_path / "database.npy", np.arange(4.0)[:, None])
    np.savez(
        tmp_path / "query.npz", features=np.arange(2.0)[:, None] - 2, ids=[f"{name}.jpg" for name in QUERIES[::-1]]
    )
    files = {"database_vectors": str(tmp_path / "database.npy"), "query_vectors": str(tmp_path / "query.npz")}
    (Path(dataset.root) / "jpg").rename(tmp_path / "elsewhere")
    held = ROxford5k(root=dataset.root, **files)
    assert held.missing() == []
    manifest = held.prepare()
    assert relevance(manifest) == LISTS
    assert held.vectors(manifest).take(np.arange(6)).tolist() == [[0], [1], [2], [3], [-1], [-2]]
    (tmp_path / "query.npz").unlink()
    assert held.missing()[0].startswith(f"{tmp_path}/query.npz: no such file")
