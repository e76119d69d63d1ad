import hashlib
from pathlib import Path

import numpy as np
import pytest

from sdc.datasets.csv import CSV
from sdc.datasets.problems import Problems
from sdc.errors import SDCError


@pytest.fixture
def write(make_images):
    """Write CSV files, by name, beside 20 images ``p/0000.png`` to ``p/0019.png``; returns the root."""

    def written(**files):
        root = make_images({"p": 20})
        for name, text in files.items():
            (root / f"{name}.csv").write_text(text, encoding="utf-8")
        return str(root)

    return written


def rows(labels, header="path,label", start=0):
    lines = (f"p/{number:04}.png,{label}" for number, label in enumerate(labels, start))
    return "\n".join([header, *lines]) + "\n"


def named(manifest):
    """The class names of each image."""
    classes = manifest.facts["classes"]
    return {
        path: [classes[label] for label in labels] for path, labels in zip(manifest.paths, manifest.labels, strict=True)
    }


def images_of(manifest, split):
    return sorted(manifest.paths[row] for row in manifest.rows(split))


TWO = ["cat", "dog"] * 10


@pytest.mark.parametrize("image", ["path", "image", "file", "id", " Path "])
@pytest.mark.parametrize("label", ["label", "class_id", "landmark_id", "LABEL"])
def test_columns_are_found_by_header(write, image, label):
    root = write(images=rows(TWO, header=f"{image},{label}"))
    manifest = CSV(root=root, query=2, train=3).prepare()
    assert named(manifest) == {f"p/{number:04}.png": [TWO[number]] for number in range(20)}
    assert manifest.facts["counts"] == {"images": 20, "query": 4, "database": 16, "train": 6}
    assert manifest.facts["label_kind"] == "single"
    expected = hashlib.sha256(Path(root, "images.csv").read_bytes()).hexdigest()
    assert manifest.facts["sources"] == {"images.csv": expected}


def test_other_columns_and_a_byte_order_mark_do_no_harm(write):
    root = write(images="\ufeffid,width,label,path\n" + "".join(f"{n},640,{TWO[n]},p/{n:04}.png\n" for n in range(20)))
    assert named(CSV(root=root, query=1, train=1).prepare())["p/0003.png"] == ["dog"]


def test_the_word_none_is_a_name(write):
    root = write(images=rows(["None", "NA", "null", "nan"] * 5))
    manifest = CSV(root=root, query=1, train=1).prepare()
    assert manifest.facts["classes"] == ["NA", "None", "nan", "null"]
    assert named(manifest)["p/0004.png"] == ["None"]


def test_numbers_are_classes_in_the_order_of_numbers(write):
    manifest = CSV(root=write(images=rows([10, 9, 203092, 9] * 5)), query=1, train=1).prepare()
    assert manifest.facts["classes"] == ["9", "10", "203092"]
    assert named(manifest)["p/0002.png"] == ["203092"]


@pytest.mark.parametrize("mark", [",", ";", "|", " , ", "; "])
def test_marks_separate_and_blanks_belong_to_names(write, mark):
    cells = [f'"polar bear{mark}dog"', '"polar bear"', '""', '"cat"', f'"dog{mark}dog{mark}"'] * 4
    manifest = CSV(root=write(images=rows(cells, header="path,labels")), query=2, train=3).prepare()
    found = named(manifest)
    assert [sorted(found[f"p/{number:04}.png"]) for number in range(5)] == [
        ["dog", "polar bear"], ["polar bear"], [], ["cat"], ["dog"],
    ]  # fmt: skip
    assert manifest.facts["label_kind"] == "multi"
    assert manifest.facts["unlabelled"] == 4
    # The draw is over images.
    assert manifest.facts["counts"] == {"images": 20, "query": 2, "database": 18, "train": 3}


def test_blanks_separate_where_nothing_else_does(write):
    root = write(images=rows(["3 11", "11", "  3  "] * 6, header="path,labels"))
    manifest = CSV(root=root, query=0.25, train=0.5).prepare()
    assert manifest.facts["classes"] == ["3", "11"]
    assert named(manifest)["p/0000.png"] == ["3", "11"]
    assert manifest.facts["counts"] == {"images": 18, "query": 4, "database": 14, "train": 7}


def test_whether_cells_hold_several_can_be_said(write):
    root = write(images=rows(["polar bear", "polar dog"] * 10))
    assert CSV(root=root, query=1, train=1).prepare().facts["classes"] == ["polar bear", "polar dog"]
    multi = CSV(root=root, labels="multi", query=1, train=1).prepare()
    assert multi.facts["classes"] == ["bear", "dog", "polar"]
    root = write(images=rows(["a b", "c"] * 10, header="path,labels"))
    assert CSV(root=root, labels="single", query=1, train=1).prepare().facts["classes"] == ["a b", "c"]


def test_splits_of_a_column(write):
    words = ["query", "database train", '"database,train"', "database|train", "train", "database"]
    cells = [f"{label},{word}" for label, word in zip(TWO, words * 3, strict=False)]
    manifest = CSV(root=write(images=rows(cells, header="path,label,split"))).prepare()
    assert images_of(manifest, "query") == ["p/0000.png", "p/0006.png", "p/0012.png"]
    both = set(images_of(manifest, "train")) & set(images_of(manifest, "database"))
    assert both == {f"p/{number:04}.png" for number in range(18) if number % 6 in (1, 2, 3)}
    assert len(images_of(manifest, "train")) == len(images_of(manifest, "database")) == 12
    assert manifest.facts["protocol"] == "splits as listed"


def test_three_files(write):
    root = write(query=rows(TWO[:4]), database=rows(TWO[:10], start=4), train=rows(TWO[:8], start=10))
    manifest = CSV(root=root, file="{split}.csv").prepare()
    assert manifest.facts["counts"] == {"images": 18, "query": 4, "database": 10, "train": 8}
    assert manifest.facts["splits"]["train"] == "4 of 8 inside the database"
    assert set(manifest.facts["sources"]) == {"query.csv", "database.csv", "train.csv"}
    assert len(set(manifest.paths)) == 18


@pytest.mark.parametrize(("header", "count"), [("path,label", 6), ("path,labels", 8)])
def test_training_is_drawn_from_the_database_where_nothing_says_it(write, header, count):
    root = write(query=rows(TWO[:4], header), database=rows(TWO[:16], header, start=4))
    train = 3 if header == "path,label" else 8  # per class, or in all
    manifest = CSV(root=root, file="{split}.csv", train=train).prepare()
    assert manifest.facts["counts"]["train"] == count
    assert manifest.facts["splits"]["train"] == "inside the database"


def test_rows_are_shuffled_alike_for_every_seed_and_split_by_it(write):
    root = write(images=rows(["cat"] * 10 + ["dog"] * 10))
    manifests = [CSV(root=root, seed=seed).prepare() for seed in (0, 0, 1)]
    paths, queries = [each.paths for each in manifests], [each.query.tolist() for each in manifests]
    assert paths[0] == paths[1] == paths[2] != sorted(paths[0])
    assert queries[0] == queries[1] != queries[2]


def test_a_pattern_makes_paths_of_cells(write):
    root = write(images="id,landmark_id\n" + "".join(f"{number:04},{number % 2}\n" for number in range(20)))
    dataset = CSV(root=root, picture="p/{}.png", query=1, train=1)
    assert sorted(dataset.prepare().paths) == [f"p/{number:04}.png" for number in range(20)]
    assert dataset.opener()("p/0001.png").size == (12, 10)
    with pytest.raises(SDCError, match=r"CSV.picture: 'p/x.png' is not allowed"):
        CSV(picture="p/x.png")


def test_missing_and_unreadable_images(write):
    root = write(images=rows([*TWO, "cat"]))
    with pytest.raises(SDCError, match=r"1 of 21 listed files are missing: p/0020.png"):
        CSV(root=root).prepare()
    Path(root, "p/0002.png").write_bytes(b"x")
    manifest = CSV(root=root, on_error="skip", query=1, train=1).prepare()
    assert len(manifest) == 19
    assert [item["path"] for item in manifest.facts["dropped"]] == ["p/0020.png", "p/0002.png"]
    assert named(manifest)["p/0003.png"] == ["dog"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"images.csv: columns are none; name one of them path, paths, image, file, id, ids"),
        ("picture,label\n", r"columns are picture, label; name one of them path"),
        ("path,label\n", r"images.csv: names no usable image"),
        (rows(["cat", "dog,big", "", "dog,x"]), r"line 3 has not 2 cells as the header has; quote .* \(2 such lines\)"),
        (rows(["cat", "dog", ""]), r"images.csv: line 4 has no label; write one, or set labels: multi"),
        (rows(TWO) + "\np/0003.png,cat\n", r"line 23 names an image that an earlier line names"),
        (rows(["cat,query", "dog,test"], "path,label,split"), r"line 3 is in no split; write query, database, train"),
        (rows(["cat,query", "dog,"], "path,label,split"), r"line 3 is in no split"),
        (rows(["cat,query database", "dog,query"], "path,label,split"), r"p/0000.png: is both query and in the dat"),
        (rows(["cat,query", "dog,query"], "path,label,split"), r"CSV: no image is in the database"),
        (rows(["cat", "dog"] * 2), r"class 'cat' has 2 images, too few for query: 3"),
        (rows(["a b", "b", "a"], "path,labels"), r"class 'all images' has 3 images, too few for query: 3"),
    ],
)
def test_bad_files(write, text, message):
    with pytest.raises(SDCError, match=message):
        CSV(root=write(images=text), query=3, train=1).prepare()


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (rows(["cat"] * 20), {}),
        (rows([""] * 20), {}),
        (rows(TWO), {"labels": "none"}),
        (rows(TWO, header="path,kind"), {}),
    ],
)
def test_images_without_labels_or_of_one_class_are_unlabelled(write, text, settings):
    manifest = CSV(root=write(images=text), **settings).prepare()
    assert (manifest.facts["label_kind"], manifest.facts["protocol"]) == ("none", "a draw of images")
    assert manifest.facts["counts"] == {"images": 20, "query": 2, "database": 18, "train": 18}
    assert not manifest.labels.counts.any()


def test_unlabelled_images_may_all_be_database(write):
    text = "path,split\n" + "".join(f"p/{number:04}.png,database\n" for number in range(20))
    counts = CSV(root=write(images=text)).prepare().facts["counts"]
    assert counts == {"images": 20, "query": 0, "database": 20, "train": 20}


def test_labels_that_are_asked_for_must_be_there(write):
    root = write(images=rows(TWO, header="path,kind"), empty=rows([""] * 20))
    with pytest.raises(SDCError, match=r"columns are path, kind; name one of them .* and one label, class_id"):
        CSV(root=root, labels="single").prepare()
    with pytest.raises(SDCError, match=r"empty.csv: line 2 has no label; write one, or set labels: multi \(20 such"):
        CSV(root=root, file="empty.csv", labels="single").prepare()


def test_files_that_disagree(write):
    root = write(query=rows(TWO[:4]), database=rows(TWO[:6], start=3))
    dataset = CSV(root=root, file="{split}.csv", train=1)
    with pytest.raises(SDCError, match=r"database.csv: line 2 has other labels than another file has for the same"):
        dataset.prepare()
    problems = Problems(gather=True)
    dataset.scan(problems)
    assert problems.lines[1].startswith("p/0003.png: is both query and in the database (1 such)")


def test_all_problems_are_gathered(write):
    text = rows(TWO) + "p/0001.png,dog\np/0002.png\np/nowhere.png,cat\np/0003.png,\n"
    problems = Problems(gather=True)
    manifest = CSV(root=write(images=text), query=1, train=1).scan(problems)
    assert len(manifest) == 20
    words = ("cells", "earlier", "missing")
    assert [[word for word in words if word in problem] for problem in problems.lines] == [[word] for word in words]
    assert "line 22 names an image that an earlier line names; take one of them out (2 such lines)" in problems.lines[1]


def test_no_text_and_nul_bytes(write):
    root = write(images="")
    for content in (b"path,label\n\xff\xfe,cat\n", b'path,label\n"' + b"a" * 200_000 + b'",cat\n'):
        Path(root, "images.csv").write_bytes(content)
        with pytest.raises(SDCError, match=r"images.csv: is not a CSV file in UTF-8 \(.*\); save it as one"):
            CSV(root=root).prepare()


def test_what_is_missing_and_where(write, tmp_path):
    root = write(query=rows(TWO))
    assert CSV(root=root).missing() == [f"{root}/images.csv: no such file or folder; {root}/ holds p, query.csv"]
    assert CSV(root=root, file="{split}.csv").missing() == [
        f"{root}/database.csv: no such file or folder; {root}/ holds p, query.csv"
    ]
    with pytest.raises(SDCError, match=r"images.csv: no such file .*; set root and file to where it is"):
        CSV(root=root).prepare()
    assert len(CSV(root=str(tmp_path / "nowhere")).missing()) == 1


def test_the_draw_leaves_labels_with_their_images(write):
    generator = np.random.default_rng(0)
    labels = [str(label) for label in generator.integers(0, 3, 20)]
    manifest = CSV(root=write(images=rows(labels)), query=1, train=0.5, seed=7).prepare()
    assert named(manifest) == {f"p/{number:04}.png": [label] for number, label in enumerate(labels)}


@pytest.mark.parametrize(
    "second",
    ["./p/0000.png", "p//0000.png", "p/../p/0000.png", r"p\0000.png", "{root}/p/0000.png", "../images/p/0000.png"],
)
def test_an_image_under_two_spellings_is_found(write, second):
    root = write(images="")
    Path(root, "images.csv").write_text(rows(TWO) + second.format(root=root) + ",dog\n")
    with pytest.raises(
        SDCError, match=r"images.csv: line 22 names an image that an earlier line names; take one of th"
    ):
        CSV(root=root).prepare()
    Path(root, "images.csv").write_text(f"path,label\n{second.format(root=root)},dog\n" + rows(TWO[1:], start=1)[11:])
    assert named(CSV(root=root, query=1, train=1).prepare())["p/0000.png"] == ["dog"]


def test_an_image_under_two_spellings_with_two_labels_in_two_files(write):
    root = write(query="path,label\n./p/0003.png,cat\n", database=rows(TWO))
    with pytest.raises(
        SDCError, match=r"database.csv: line 5 has other labels than another file has for the same image"
    ):
        CSV(root=root, file="{split}.csv", train=1).prepare()


def test_compositions_of_a_letter_are_one_image(write):
    root = write(images="path,label\np/caf\u00e9.png,cat\np/cafe\u0301.png,dog\n")
    with pytest.raises(SDCError, match=r"images.csv: line 3 names an image that an earlier line names"):
        CSV(root=root).prepare()


def test_paths_out_of_the_root_are_said(write, make_images, caplog):
    root = write(images="")
    other = make_images({"q": 2}, root="other")
    Path(root, "images.csv").write_text(rows(TWO) + f"../other/q/0000.png,cat\n{other}/q/0001.png,dog\n")
    manifest = CSV(root=root, query=1, train=1).prepare()
    assert {"../other/q/0000.png", f"{other}/q/0001.png"} < {*manifest.paths}
    warning = f"2 files are not below {root}: ../other/q/0000.png, {other}/q/0001.png"
    assert [record.getMessage() for record in caplog.records] == [warning]
    Path(root, "p/0000.png").unlink()
    Path(root, "p/0000.png").symlink_to(other / "q/0000.png")
    Path(root, "images.csv").write_text(rows(TWO))
    caplog.clear()
    assert len(CSV(root=root, query=1, train=1).prepare()) == 20
    assert not caplog.records  # links may lead anywhere


def test_a_nul_byte_in_a_name_is_one_line(write):
    root = write(images=rows(TWO) + "p/a\0b.png,cat\n")
    with pytest.raises(
        SDCError, match=r"images.csv: is not a CSV file in UTF-8 .line 22 holds NUL characters.; save it"
    ):
        CSV(root=root).prepare()


def test_expected_counts_are_those_of_the_manifest(write):
    root = write(
        images=rows("ab" * 10),
        split=rows(["a,query", "b,database"] * 10, "path,label,split"),
        query_part=rows("ab"),
        database_part=rows("ab" * 9, start=2),
        train_part=rows("ab" * 4, start=2),
    )
    for settings in ({"query": 0.2}, {"labels": "none", "query": 4}, {"labels": "none"}, {"file": "{split}_part.csv"}):
        dataset = CSV(root=root, **settings)
        assert dataset.expected_counts() == dataset.prepare().facts["counts"]
    assert CSV(root=root, file="split.csv").expected_counts() == {"images": 20}
