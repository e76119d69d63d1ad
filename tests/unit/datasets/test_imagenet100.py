import os

import numpy as np
import pytest

from sdc import registry
from sdc.datasets.draws import draw_training
from sdc.datasets.imagenet100 import WNIDS, ImageNet100
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from tests.support.datasets import make_imagenet100


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.fixture
def tree(tmp_path):
    """ILSVRC's own folders: four training images and one for validation per class, and a class that is not ours."""
    for index, wnid in enumerate([*WNIDS, "n00000001"]):
        touch(tmp_path / "train" / wnid, *(f"{wnid}_{number}.JPEG" for number in (10, 2, 7, 1)))
        touch(tmp_path / "val" / wnid, f"ILSVRC2012_val_{index:08}.JPEG")
    return tmp_path


@pytest.fixture
def flat(tmp_path):
    """HashNet's folders and lists, as SDC's repository names them: 3 + 1 images of each of the first five classes."""
    make_imagenet100(tmp_path, image=b"")
    return tmp_path


def test_classes_are_the_hundred_of_hashnet():
    assert (len(WNIDS), len(set(WNIDS)), list(WNIDS)) == (100, 100, sorted(WNIDS))
    assert (WNIDS[0], WNIDS[41], WNIDS[99]) == ("n01514668", "n02526121", "n13044778")


def test_published_counts_agree_with_the_classes():
    # All classes have 1,300 training images but eleven.
    fewer = (1165, 1029, 1137, 1272, 1133, 1180, 1152, 1117, 1249, 1162, 1207)
    published = ImageNet100.protocols["hashnet"]
    assert published.database == 89 * 1300 + sum(fewer)
    assert (published.query, published.train) == (100 * 50, 100 * ImageNet100().train)
    assert ImageNet100().map_at == 1000


def test_lists_give_the_splits_and_their_order(flat, caplog):
    dataset = registry.build("datasets", "imagenet100", {"root": str(flat)})
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 20, "database": 15, "query": 5, "train": 5}
    assert manifest.paths[:4] == [
        *(f"image/{WNIDS[0]}_{number}.JPEG" for number in range(3)),
        f"image/{WNIDS[1]}_0.JPEG",
    ]
    assert [labels for (labels,) in manifest.labels] == [index for index in range(5) for _ in range(3)] + list(range(5))
    assert manifest.facts["drawn"] == []
    assert set(manifest.facts["sources"]) == {"database.txt", "test.txt", "train.txt"}
    assert "protocol hashnet: 15 images are in the database" in caplog.text


def test_one_hot_lists_say_the_same(flat):
    expected = ImageNet100(root=str(flat)).prepare()
    for name in ("database", "test", "train"):
        rows = [line.split() for line in (flat / f"{name}.txt").read_text().splitlines()]
        one_hot = {index: " ".join(str(int(column == int(index))) for column in range(100)) for _, index in rows}
        (flat / f"{name}.txt").write_text("".join(f"{path} {one_hot[index]}\n" for path, index in rows))
    manifest = ImageNet100(root=str(flat)).prepare()
    assert (manifest.paths, manifest.labels) == (expected.paths, expected.labels)


def test_class_beyond_the_hundred_is_refused(flat):
    (flat / "test.txt").write_text("val_image/ILSVRC2012_val_00000000.JPEG 100\n")
    with pytest.raises(SDCError, match=r"test.txt line 1: class 100 is out of range; there are 100 classes, 0 to 99"):
        ImageNet100(root=str(flat)).prepare()


def test_tree_of_the_challenge_needs_no_lists(tree):
    dataset = ImageNet100(root=str(tree), train=2)
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 500, "database": 400, "query": 100, "train": 200}
    assert manifest.facts["drawn"] == ["train"]
    assert manifest.facts["sources"] == {}
    for path, (label,), query in zip(manifest.paths, manifest.labels, manifest.query, strict=True):
        assert path.split("/")[:2] == ["val" if query else "train", WNIDS[label]]
    trained = manifest.labels.take(manifest.rows("train"))
    assert trained.histogram(100).tolist() == [2] * 100
    assert not (manifest.train & ~manifest.database).any()


def test_rows_are_shuffled_alike_for_every_seed_and_training_items_drawn_by_it(tree):
    manifests = [ImageNet100(root=str(tree), train=2, seed=seed).prepare() for seed in (0, 0, 1)]
    paths = [manifest.paths for manifest in manifests]
    trained = [{manifest.paths[row] for row in manifest.rows("train")} for manifest in manifests]
    assert paths[0] == paths[1] == paths[2]
    assert trained[0] == trained[1] != trained[2]
    assert paths[0] != sorted(paths[0])
    # The draw goes by the folders, not by the rows.
    database = sorted(paths[0][row] for row in manifests[0].rows("database"))
    labels = np.array([WNIDS.index(path.split("/")[1]) for path in database])
    drawn = draw_training(np.arange(len(labels)), labels, WNIDS, 2, seed=1)
    assert trained[2] == {path for path, chosen in zip(database, drawn, strict=True) if chosen}


def test_training_list_is_taken_for_the_tree_too(tree):
    names = [f"{wnid}_{number}" for wnid in WNIDS for number in (2, 10)]
    (tree / "train.txt").write_text(
        "".join(f"data/imagenet/image/{name}.JPEG {WNIDS.index(name[:9])}\n" for name in names)
    )
    manifest = ImageNet100(root=str(tree)).prepare()
    assert {manifest.paths[row] for row in manifest.rows("train")} == {
        f"train/{name[:9]}/{name}.JPEG" for name in names
    }
    assert (manifest.facts["drawn"], list(manifest.facts["sources"])) == ([], ["train.txt"])
    drawn = ImageNet100(root=str(tree), splits="draw", train=1).prepare()
    assert drawn.facts["counts"]["train"] == 100


def test_training_list_with_strangers_is_a_problem(tree):
    (tree / "train.txt").write_text(f"image/{WNIDS[0]}_2.JPEG 0\nimage/{WNIDS[0]}_3.JPEG 0\n")
    message = rf"train.txt: 1 of 2 images are not among the labelled ones: image/{WNIDS[0]}_3.JPEG; complete the copy"
    with pytest.raises(SDCError, match=message):
        ImageNet100(root=str(tree)).prepare()


def test_all_lists_find_their_images_in_the_tree(tree):
    database = [(f"image/{wnid}_{number}.JPEG", index) for index, wnid in enumerate(WNIDS) for number in (1, 2)]
    queries = [(f"val_image/ILSVRC2012_val_{index:08}.JPEG", index) for index in range(100)]
    for name, rows in {"database": database, "train": database[:5], "test": queries}.items():
        (tree / f"{name}.txt").write_text("".join(f"./data/imagenet/{path} {index}\n" for path, index in rows))
    dataset = ImageNet100(root=str(tree))
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.paths[:2] == [f"train/{WNIDS[0]}/{WNIDS[0]}_{number}.JPEG" for number in (1, 2)]
    assert manifest.paths[200] == f"val/{WNIDS[0]}/ILSVRC2012_val_00000000.JPEG"


@pytest.mark.parametrize("below", ["", "ILSVRC/Data/CLS-LOC"])
def test_flat_validation_images_with_kaggles_file(tree, below):
    lines = ["ImageId,PredictionString"]
    for index, wnid in enumerate([*WNIDS, "n00000001"]):
        (tree / "val" / wnid / f"ILSVRC2012_val_{index:08}.JPEG").rename(tree / f"val/ILSVRC2012_val_{index:08}.JPEG")
        (tree / "val" / wnid).rmdir()
        lines.append(f"ILSVRC2012_val_{index:08},{wnid} 85 1 499 272 {wnid} 1 2 3 4 ")
    root = tree
    if below:
        (tree / "kaggle" / below).mkdir(parents=True)
        for part in ("train", "val"):
            (tree / part).rename(tree / "kaggle" / below / part)
        root = tree / "kaggle"
    dataset = ImageNet100(root=str(root), train=1)
    assert "has no folders of classes (val/n01514668/ and so on)" in dataset.missing()[0]
    (root / "LOC_val_solution.csv").write_text("\n".join(lines[::-1][:-1] + lines[:1]))
    with pytest.raises(SDCError, match=r"LOC_val_solution.csv: is not Kaggle's file of ImageId,PredictionString"):
        dataset.prepare()
    (root / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 500, "database": 400, "query": 100, "train": 100}
    queries = {manifest.paths[row]: manifest.labels[int(row)] for row in manifest.rows("query")}
    prefix = f"{below}/" if below else ""
    assert queries == {f"{prefix}val/ILSVRC2012_val_{index:08}.JPEG": (index,) for index in range(100)}
    assert list(manifest.facts["sources"]) == ["LOC_val_solution.csv"]


def test_classes_without_images_are_named(tree):
    for name in ("train", "val"):
        for file in (tree / name / WNIDS[3]).iterdir():
            file.unlink()
    message = rf"train: 1 of the 100 classes have no images there: {WNIDS[3]}; complete the copy"
    with pytest.raises(SDCError, match=message):
        ImageNet100(root=str(tree), train=1).prepare()
    problems = Problems(gather=True)
    assert len(ImageNet100(root=str(tree), train=1).scan(problems)) == 495
    assert sum("of the 100 classes have no images" in problem for problem in problems.lines) == 2


def test_a_class_that_cannot_be_read_is_named_or_skipped_and_counted(tree, monkeypatch):
    closed = tree / "train" / WNIDS[3]
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed)
    with pytest.raises(
        SDCError, match=rf"train/{WNIDS[3]}: cannot be read: .*; make it readable or remove it, or set on"
    ):
        ImageNet100(root=str(tree), train=1).prepare()
    (closed.parent / WNIDS[5] / "x.JPEG").symlink_to("gone")
    problems = Problems(gather=True)
    ImageNet100(root=str(tree), train=1).scan(problems)
    assert any(f"train/{WNIDS[5]}/x.JPEG: is a link to nothing" in problem for problem in problems.lines)


def test_too_few_training_images(tree):
    with pytest.raises(SDCError, match=r"class 'n01514668' has 4 images to train on, too few for train: 130"):
        ImageNet100(root=str(tree)).prepare()


def test_unreadable_files_are_skipped_before_the_draw(tree, make_images):
    picture = next((make_images({"a": 1}) / "a").iterdir()).read_bytes()
    for file in [*tree.glob("train/*/*_[17].JPEG"), *tree.glob("val/*/*")]:
        file.write_bytes(picture)
    manifest = ImageNet100(root=str(tree), train=2, on_error="skip").prepare()
    assert manifest.facts["counts"] == {"images": 300, "database": 200, "query": 100, "train": 200}
    assert len(manifest.facts["dropped"]) == 200
    assert np.array_equal(manifest.train, manifest.database)


def test_what_is_missing(tmp_path, flat):
    assert ImageNet100(root=str(tmp_path / "no")).missing()[0].startswith(f"{tmp_path}/no: no such file or folder; ")
    (flat / "database.txt").unlink()
    message = (
        "train: no such file .* holds image, test.txt, train.txt, val_image; nor are all of train.txt, test.txt and"
    )
    with pytest.raises(SDCError, match=message):
        ImageNet100(root=str(flat)).prepare()
    assert (
        ImageNet100(root=str(flat), splits="lists")
        .missing()[0]
        .startswith(f"{flat}/database.txt: no such file or folder; ")
    )
    touch(flat / "train" / WNIDS[0])
    assert ImageNet100(root=str(flat)).missing()[0].startswith(f"{flat}/val: no such file or folder; ")
