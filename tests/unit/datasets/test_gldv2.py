import logging

import numpy as np
import pytest

from sdc import registry
from sdc.datasets import gldv2
from sdc.datasets.gldv2 import GLDv2
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.storage.manifest import read_manifest, write_manifest
from tests.support.datasets import GLDV2_CLEAN as CLEAN
from tests.support.datasets import GLDV2_INDEX as INDEX
from tests.support.datasets import GLDV2_SOLUTION as SOLUTION
from tests.support.datasets import GLDV2_TEST as TEST
from tests.support.datasets import gldv2_name as name
from tests.support.datasets import gldv2_path as path
from tests.support.datasets import make_gldv2


@pytest.fixture
def root(tmp_path):
    """A Google Landmarks v2 of six index images, four tests and three landmarks as it is laid out for download."""
    make_gldv2(tmp_path)
    return tmp_path


def write(root, file, *lines):
    (root / file).write_text("".join(f"{line}\n" for line in lines))


def relevance(manifest):
    return {row: {name: rows.tolist() for name, rows in lists.items()} for row, lists in manifest.relevance.items()}


def test_index_then_queries_that_are_not_ignored_then_training(root):
    manifest = GLDv2(root=str(root)).prepare()
    asked = [path("test", image) for image in (TEST[0], TEST[2], TEST[3])]
    trained = [path("train", image) for images in CLEAN.values() for image in images]
    assert list(manifest.paths) == [path("index", image) for image in INDEX] + asked + trained
    assert manifest.facts["counts"] == {"images": 15, "query": 3, "database": 6, "train": 6}
    assert relevance(manifest) == {6: {"relevant": [1, 4]}, 7: {"relevant": [0]}, 8: {"relevant": [0, 2, 5]}}
    assert manifest.facts["usage"] == {"Public": [7], "Private": [6, 8]}
    assert manifest.facts["splits"]["train"] == "outside the database"
    assert set(manifest.facts["sources"]) == {"index.csv", "train_clean.csv", "retrieval_solution_v2.1.csv"}


def test_landmarks_are_counted_from_zero_by_number(root):
    manifest = GLDv2(root=str(root)).prepare()
    assert list(manifest.labels) == [()] * 9 + [(2,)] * 3 + [(0,)] + [(1,)] * 2
    assert manifest.facts["classes"] == ["7", "1000", "203092"]


def test_manifest_survives_the_disk(root):
    manifest = GLDv2(root=str(root)).prepare()
    write_manifest(root / "m.csv", manifest)
    read = read_manifest(root / "m.csv")
    assert relevance(read) == relevance(manifest)
    assert list(read.paths) == manifest.paths
    assert read.labels == manifest.labels
    assert read.facts == manifest.facts


def test_a_part_of_train_clean_is_drawn_by_seed(root):
    drawn = [GLDv2(root=str(root), train=0.5, seed=seed).prepare() for seed in (0, 0, 1)]
    parts = [[manifest.paths[row] for row in manifest.rows("train")] for manifest in drawn]
    assert parts[0] == parts[1] != parts[2]
    whole = GLDv2(root=str(root)).prepare()
    label_of = dict(zip(whole.paths, whole.labels, strict=True))
    for manifest, part in zip(drawn, parts, strict=True):
        assert len(part) == 3
        assert [label_of[path] for path in part] == list(manifest.labels)[9:]
        assert manifest.facts["classes"] == whole.facts["classes"]
    assert drawn[0].facts["protocol"].startswith("part:")
    # The size of the part that is nominally 80 % of train-clean.
    assert round(0.8 * GLDv2.protocols["clean"].train) == 1_264_376


def test_no_training_part_needs_none(root):
    (root / "metadata/train_clean.csv").unlink()
    (root / "train").rename(root / "elsewhere")
    dataset = GLDv2(root=str(root), train="none")
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 9, "query": 3, "database": 6, "train": 0}
    assert GLDv2(root=str(root)).missing() == [
        f"{root}/train_clean.csv: no such file or folder; {root}/ holds elsewhere, ground_truth, index, metadata, test",
        f"{root}/train: no such file or folder; {root}/ holds elsewhere, ground_truth, index, metadata, test",
    ]
    with pytest.raises(SDCError, match=r"train_clean.csv: no such file .*; set root to the folder that holds it"):
        GLDv2(root=str(root)).prepare()


def test_lists_may_lie_beside_the_images(root):
    for file in [*(root / "metadata").iterdir(), *(root / "ground_truth").iterdir()]:
        file.rename(root / file.name)
    assert GLDv2(root=str(root)).missing() == []
    assert len(GLDv2(root=str(root)).prepare()) == 15


def test_some_images_are_looked_for_and_all_on_demand(root, monkeypatch):
    (root / path("index", INDEX[3])).unlink()
    (root / path("index", INDEX[2])).write_text("no image")
    with pytest.raises(SDCError, match=rf"1 of the 15 images looked for are missing: {path('index', INDEX[3])}; compl"):
        GLDv2(root=str(root)).prepare()
    monkeypatch.setattr(gldv2, "_SAMPLE", 0)
    assert len(GLDv2(root=str(root)).prepare()) == 15
    problems = Problems(gather=True)
    assert len(GLDv2(root=str(root)).scan(problems)) == 14
    assert problems.lines[0].startswith(f"{root}: 1 of 15 listed files are missing: {path('index', INDEX[3])};")
    skipped = GLDv2(root=str(root), on_error="skip").prepare()
    assert relevance(skipped) == {4: {"relevant": [1, 2]}, 5: {"relevant": [0]}, 6: {"relevant": [0, 3]}}
    assert skipped.facts["usage"] == {"Public": [5], "Private": [4, 6]}
    (root / path("test", TEST[2])).unlink()
    with pytest.raises(SDCError, match=rf"1 of the 3 images looked for are missing: {path('test', TEST[2])}"):
        GLDv2(root=str(root)).prepare()
    assert GLDv2(root=str(root), on_error="skip").prepare().facts["usage"] == {"Public": [], "Private": [4, 5]}


TRUTH = "ground_truth/retrieval_solution_v2.1.csv"


@pytest.mark.parametrize(
    ("file", "lines", "message"),
    [
        (TRUTH, ["id,images", TEST[0]], r"v2.1.csv: columns are id, images, expected id, images, Usage; get it again"),
        (TRUTH, ["id,images,Usage", SOLUTION[0], TEST[1]], r"v2.1.csv: line 3 has 1 cells, expected 3"),
        (
            TRUTH,
            ["id,images,Usage", f"{TEST[0]},{INDEX[0]},Secret"],
            r"Usage of \w{16} is 'Secret', expected one of Pub",
        ),
        (
            TRUTH,
            ["id,images,Usage", f"{TEST[0]},None,Public"],
            r"1 relevant images are not in index.csv, the first: None",
        ),
        ("metadata/index.csv", ["id", *INDEX, INDEX[0]], r"index.csv: names 1 images twice"),
        (
            "metadata/index.csv",
            ["id", *INDEX, "12"],
            r"index.csv: '12' is not the name of an image, which has 16 characters \(1",
        ),
        ("metadata/index.csv", ["name", *INDEX], r"index.csv: columns are name, expected id"),
        ("metadata/train_clean.csv", ["landmark_id,images", f"None,{name(1)}"], r"landmark_id 'None' is not a number"),
        ("metadata/train_clean.csv", [], r"train_clean.csv: columns are , expected landmark_id, images"),
    ],
)
def test_bad_files(root, file, lines, message):
    write(root, file, *lines)
    with pytest.raises(SDCError, match=message):
        GLDv2(root=str(root)).prepare()


def test_a_file_that_is_no_text(root):
    (root / "metadata/index.csv").write_bytes(b"id\n\xff\xfe\n")
    with pytest.raises(SDCError, match=r"index.csv: is not text"):
        GLDv2(root=str(root)).prepare()


@pytest.mark.parametrize("value", ["whole", 0.0, 1.5])
def test_train_is_clean_none_or_a_fraction(value):
    with pytest.raises(SDCError, match=r"datasets.gldv2.train"):
        registry.build("datasets", "gldv2", {"train": value})


def test_other_counts_than_published_are_said(root, caplog):
    with caplog.at_level(logging.WARNING):
        GLDv2(root=str(root)).prepare()
    assert "Google Landmarks v2, protocol clean: 3 images are a query, not 1129" in caplog.text
    assert GLDv2().map_at == 100


def test_a_cell_longer_than_the_csv_module_takes(root):
    images = [name(number) for number in range(1000, 10_000)]
    write(root, "metadata/train_clean.csv", "landmark_id,images", f"5,{' '.join(images)}")
    rows = [images.split() for (images,) in gldv2._rows(root / "metadata/train_clean.csv", "images")]
    assert rows == [images]
    _, labels, landmarks = GLDv2(root=str(root))._training(Problems())
    assert np.array_equal(labels, np.zeros(9000)) and landmarks == ["5"]


def test_vectors_in_place_of_images(root):
    names = {"database": INDEX, "query": TEST[::-1], "train": sum(CLEAN.values(), [])}
    for split, images in names.items():
        values = np.float32([[int(image[:5], 16)] for image in images])
        np.savez(root / f"{split}.npz", features=values, ids=images)
    for folder in ("index", "test", "train"):
        (root / folder).rename(root / f"no {folder}")
    files = {f"{split}_vectors": str(root / f"{split}.npz") for split in names}
    dataset = GLDv2(root=str(root), **files)
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 15, "query": 3, "database": 6, "train": 6}
    expected = [[int(path.rpartition("/")[2][:5], 16)] for path in manifest.paths]
    assert dataset.vectors(manifest).take(np.arange(15)).tolist() == expected
    (root / "train.npz").unlink()
    assert dataset.missing()[0].startswith(f"{root}/train.npz: no such file")
    untrained = GLDv2(root=str(root), train="none", **files)
    assert untrained.missing() == []
    assert len(untrained.vectors(untrained.prepare())) == 9
