import h5py
import numpy as np
import pytest

from sdc.datasets.features import VectorDataset
from sdc.datasets.problems import Problems
from sdc.errors import SDCError

NAMES = ("cat", "dog", "emu")
CLASSES = np.repeat([0, 1, 2], 20)


@pytest.fixture
def data(tmp_path):
    """A folder with ``x.npy``, 60 vectors sorted by class, and ``y.npy``, the class of each."""
    vectors = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", vectors)
    np.save(tmp_path / "y.npy", CLASSES)
    return tmp_path


def dataset(data, file="x.npy", labels="y.npy", ids=None, **settings):
    given = {"file": file, "labels": labels, "ids": ids}
    return VectorDataset(**{key: str(data / name) for key, name in given.items() if name}, **settings)


def by_split(manifest, split):
    return sorted(manifest.paths[row] for row in manifest.rows(split))


def write_splits(data, sizes, labels=True, ids=False):
    """``query.h5``, ``database.h5`` and so on; returns the vectors by split."""
    written = {}
    for split, size in sizes.items():
        written[split] = np.random.default_rng(size).standard_normal((size, 4)).astype(np.float16)
        with h5py.File(data / f"{split}.h5", "w") as file:
            file["features"] = written[split]
            if labels and not (labels == "some" and split == "train"):
                file["labels"] = np.arange(size) % 3
            if ids:
                file["ids"] = [f"{split[0]}{row}" for row in range(size)]
    return written


def test_rows_are_drawn_per_class_and_shuffled(data):
    manifest = dataset(data, query=3, train=0.5).prepare()
    assert manifest.facts["counts"] == {"images": 60, "query": 9, "database": 51, "train": 24}
    assert (manifest.facts["label_kind"], manifest.facts["protocol"]) == ("single", "per-class draw")
    assert sorted(map(int, manifest.paths)) == list(range(60))
    assert manifest.labels.indices.tolist() == [CLASSES[int(path)] for path in manifest.paths]
    assert (np.diff(manifest.labels.indices) != 0).sum() > 10
    again, other = (dataset(data, query=3, train=0.5, seed=seed).prepare() for seed in (0, 1))
    assert manifest.paths == again.paths == other.paths
    assert manifest.query.tolist() == again.query.tolist() != other.query.tolist()


def test_vectors_are_found_by_manifest_path(data):
    held = dataset(data)
    manifest = held.prepare()
    taken = held.vectors(manifest).take(np.arange(60))
    assert np.array_equal(taken, np.load(data / "x.npy")[[int(path) for path in manifest.paths]])
    assert held.vector_files() == [str(data / "x.npy")]


def test_ids_name_the_rows(data):
    (data / "ids.csv").write_text("id,label\n" + "".join(f"pic {59 - row},{row % 3}\n" for row in range(60)))
    (data / "ids.txt").write_text("".join(f"pic {59 - row}\n" for row in range(60)))
    for name in ("ids.csv", "ids.txt"):
        held = dataset(data, ids=name)
        manifest = held.prepare()
        rows = [59 - int(path.removeprefix("pic ")) for path in manifest.paths]
        assert sorted(rows) == list(range(60))
        assert np.array_equal(held.vectors(manifest).take(np.arange(60)), np.load(data / "x.npy")[rows])


@pytest.mark.parametrize("ids", [False, True])
def test_three_files_are_taken_as_they_are(data, ids):
    written = write_splits(data, {"query": 6, "database": 30, "train": 9}, ids=ids)
    held = dataset(data, "{split}.h5", labels=None)
    manifest = held.prepare()
    assert manifest.facts["counts"] == {"images": 45, "query": 6, "database": 30, "train": 9}
    assert manifest.facts["splits"]["train"] == "outside the database"
    expected = [f"query:q{row}" if ids else f"query:{row}" for row in range(6)]
    assert by_split(manifest, "query") == expected
    for split, features in written.items():
        rows = [manifest.paths.index(f"{split}:{split[0] * ids}{row}") for row in range(len(features))]
        assert np.array_equal(held.vectors(manifest).take(np.array(rows)), features)
    assert held.vector_files() == [str(data / f"{split}.h5") for split in ("query", "database", "train")]


def test_training_rows_are_drawn_from_the_database_where_there_is_no_file_of_them(data):
    write_splits(data, {"query": 6, "database": 30})
    manifest = dataset(data, "{split}.h5", labels=None, train=4).prepare()
    assert manifest.facts["counts"] == {"images": 36, "query": 6, "database": 30, "train": 12}
    assert manifest.facts["splits"]["train"] == "inside the database"


def test_training_rows_need_no_labels(data):
    write_splits(data, {"query": 6, "database": 30, "train": 9}, labels="some")
    manifest = dataset(data, "{split}.h5", labels=None).prepare()
    assert manifest.facts["label_kind"] == "single"
    assert (manifest.labels.counts == 0).tolist() == manifest.train.tolist()


def test_labels_in_files_of_their_own_by_split(data):
    write_splits(data, {"query": 6, "database": 30, "train": 9}, labels=False)
    for split, size in (("query", 6), ("database", 30)):
        (data / f"{split}.txt").write_text("".join(f"{NAMES[row % 3]}\n" for row in range(size)))
    manifest = dataset(data, "{split}.h5", labels="{split}.txt").prepare()
    assert manifest.facts["classes"] == list(NAMES)
    row = manifest.paths.index("database:4")
    assert manifest.labels[row] == (1,)


LINES = "".join(f"{row},{NAMES[label]}\n" for row, label in enumerate(CLASSES))
LABEL_FILES = {
    "numbers.npy": lambda path: np.save(path, 10 * CLASSES),
    "whole.npy": lambda path: np.save(path, CLASSES.astype(np.float32)),
    "names.npy": lambda path: np.save(path, np.array(NAMES)[CLASSES]),
    "one_hot.npy": lambda path: np.save(path, np.eye(3, dtype=np.uint8)[CLASSES]),
    "lines.txt": lambda path: path.write_text("\n".join(f"a {NAMES[label]}" for label in CLASSES)),
    "members.txt": lambda path: np.savetxt(path, np.eye(3)[CLASSES], "%d", newline=" \n"),
    "a.csv": lambda path: path.write_text(f"id,label\n{LINES}"),
    "lists.csv": lambda path: path.write_text("Labels\n" + "".join(f"{NAMES[label]}\n" for label in CLASSES)),
}  # fmt: skip


@pytest.mark.parametrize("name", LABEL_FILES)
def test_labels_may_be_written_in_many_ways(data, name):
    LABEL_FILES[name](data / name)
    manifest = dataset(data, labels=name).prepare()
    assert manifest.facts["label_kind"] == "single"
    assert manifest.labels.indices.tolist() == [CLASSES[int(path)] for path in manifest.paths]
    expected = {"numbers.npy": ["0", "10", "20"], "names.npy": list(NAMES), "lines.txt": ["a cat", "a dog", "a emu"]}
    assert manifest.facts["classes"] == expected.get(name, manifest.facts["classes"])


def test_numbers_sort_as_numbers(data):
    (data / "y.txt").write_text("".join(f"{9 + label}\n" for label in CLASSES))
    assert dataset(data, labels="y.txt").prepare().facts["classes"] == ["9", "10", "11"]


@pytest.mark.parametrize("name", ["members.npy", "members.txt", "lists.csv"])
def test_rows_with_several_labels_are_drawn_alike(data, name):
    members = np.random.default_rng(0).integers(0, 2, (60, 3))
    members[5] = 0
    if name == "members.npy":
        np.save(data / name, members)
    elif name == "members.txt":
        np.savetxt(data / name, members, "%d")
    else:
        cells = (";".join(str(column) for column in np.flatnonzero(row)) for row in members)
        (data / name).write_text("row,labels\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells)))
    manifest = dataset(data, labels=name, query=7, train=0.5).prepare()
    assert (manifest.facts["label_kind"], manifest.facts["protocol"]) == ("multi", "a draw of rows")
    assert manifest.facts["counts"] == {"images": 60, "query": 7, "database": 53, "train": 26}
    assert manifest.facts["unlabelled"] == (members.sum(axis=1) == 0).sum()
    for path, labels in zip(manifest.paths, manifest.labels, strict=True):
        assert labels == tuple(np.flatnonzero(members[int(path)]))


def test_parquet_with_lists_of_labels_and_gaps(data):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    vectors = list(np.load(data / "x.npy"))
    labels = [None if row == 7 else ["cat", "dog"] if row == 8 else [NAMES[label]] for row, label in enumerate(CLASSES)]
    pyarrow.parquet.write_table(pa.table({"features": vectors, "labels": labels}), data / "a.parquet")
    manifest = dataset(data, "a.parquet", labels=None).prepare()
    assert manifest.facts["label_kind"] == "multi"
    assert [manifest.labels[manifest.paths.index(str(row))] for row in (7, 8, 9)] == [(), (0, 1), (0,)]


def test_what_is_missing_is_said(data):
    held = dataset(data, "gone.npy", labels="no.txt")
    assert [line.split(": no such file")[0] for line in held.missing()] == [
        str(data / "gone.npy"),
        str(data / "no.txt"),
    ]
    with pytest.raises(SDCError, match=r"gone.npy: no such file .* holds x.npy, y.npy; set file, labels and ids"):
        held.prepare()
    write_splits(data, {"query": 3, "database": 9})
    assert dataset(data, "{split}.h5", labels=None).missing() == []
    (data / "query.h5").unlink()
    assert len(dataset(data, "{split}.h5", labels=None).missing()) == 1


def test_there_are_no_images(data):
    with pytest.raises(SDCError, match=r"x.npy: holds vectors, no images"):
        dataset(data).opener()


def broken(data, what):
    """Settings of a dataset in which one thing is wrong."""
    vectors = np.load(data / "x.npy")
    ids = [str(row) for row in range(60)]
    if what == "labels":
        np.save(data / "y.npy", CLASSES[:59])
    elif what == "ids":
        (data / "ids.txt").write_text("\n".join(ids[:50]))
    elif what == "twice":
        (data / "ids.txt").write_text("\n".join([*ids[:58], "3", "5"]))
    elif what == "nan":
        vectors[[4, 9]] = np.nan
        np.save(data / "x.npy", vectors)
    elif what == "type":
        np.save(data / "x.npy", vectors.astype(np.int32))
    elif what == "negative":
        np.save(data / "y.npy", np.where(np.arange(60) == 5, -1, CLASSES))
    elif what == "empty":
        (data / "y.csv").write_text(
            "id,label\n" + "".join(f"{row},{'' if row == 2 else row % 3}\n" for row in range(60))
        )
    elif what == "fractions":
        np.save(data / "y.npy", CLASSES + 0.5)
    elif what == "members":
        np.save(data / "y.npy", 2 * np.eye(3)[CLASSES])
    elif what == "header":
        (data / "y.csv").write_text("id,klass\n1,2\n")
    elif what == "ragged":
        (data / "y.csv").write_text("id,label\n1,2\n2,3,4\n")
    elif what == "suffix":
        (data / "y.json").touch()
    elif what == "damaged":
        (data / "y.npy").write_bytes(b"x")
    files = {"labels": ["y.json", "y.csv", "y.npy"], "ids": ["ids.txt"]}
    return {key: next((name for name in names if (data / name).exists()), None) for key, names in files.items()}


WRONG = {
    "labels": r"x.npy: 60 rows but 59 labels; give each row its own, in the same order",
    "ids": r"x.npy: 60 rows but 50 ids; give each row its own, in the same order",
    "twice": r"x.npy: id 3 is that of several rows \(2 such\); give each its own",
    "nan": r"x.npy: row 4 holds NaN or infinity \(2 such\); regenerate these vectors",
    "type": r"x.npy: vectors are int32, expected float16, float32 or float64; save array.astype\('float32'\)",
    "negative": r"x.npy: row 5 has no label \(1 such\); leave such rows out",
    "empty": r"x.npy: row 2 has no label \(1 such\); leave such rows out",
    "fractions": r"y.npy: labels float64 of shape \(60,\) are not classes: row 0 holds 0.5; give a class per row by",
    "members": r"y.npy: labels float64 of shape \(60, 3\) are not classes",
    "header": r"y.csv: columns are id, klass; name one of them label, class_id, landmark_id, labels",
    "ragged": r"y.csv: line 3 has not 2 cells as the header has; quote cells that hold commas",
    "suffix": r"y.json: suffix '.json' is not known; allowed: .npy, .*.csv, .*.txt",
    "damaged": r"y.npy: cannot be read as .npy \(.*\); write it again",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_line(data, what):
    settings = broken(data, what)
    with pytest.raises(SDCError, match=WRONG[what]):
        dataset(data, **settings).prepare()


def test_rows_without_labels_and_of_one_class_are_unlabelled(data, caplog):
    np.save(data / "y.npy", 0 * CLASSES)
    for settings, why in (
        ({"labels": None}, "there are no labels"),
        ({"labels": "y.npy"}, "all 60 items are of one class, '0'"),
    ):
        manifest = dataset(data, query=None, train=None, **settings).prepare()
        assert (manifest.facts["label_kind"], manifest.facts["protocol"]) == ("none", "a draw of rows")
        assert manifest.facts["counts"] == {"images": 60, "query": 6, "database": 54, "train": 54}
        assert caplog.messages[-1].endswith(f"x.npy: {why}: taken as unlabelled; what needs labels is not measured")


def test_labels_are_of_all_files_or_of_none(data):
    write_splits(data, {"query": 3, "database": 9, "train": 9})
    for split in ("query", "database", "train"):
        with h5py.File(data / f"{split}.h5", "r+") as file:
            del file["labels"]
    splits = VectorDataset(file=str(data / "{split}.h5"))
    assert splits.prepare().facts["label_kind"] == "none"
    with h5py.File(data / "query.h5", "r+") as file:
        file["labels"] = np.arange(3)
    with pytest.raises(SDCError, match=r"database.h5: holds no labels; set labels to a file of them"):
        splits.prepare()


def test_everything_that_is_wrong_is_gathered(data):
    for what in ("nan", "negative", "twice"):
        settings = broken(data, what)
    problems = Problems(gather=True)
    assert len(dataset(data, **settings).scan(problems)) == 60
    assert [line.split(": ")[1].partition(" (")[0] for line in problems.lines] == [
        "row 5 has no label", "id 3 is that of several rows", "row 4 holds NaN or infinity",
    ]  # fmt: skip
    settings = broken(data, "labels")
    with pytest.raises(SDCError, match="60 rows but 59 labels"):
        dataset(data, **settings).scan(problems)
    assert "60 rows but 59 labels" in problems.lines[3]


def test_query_that_is_in_the_database_too(data):
    write_splits(data, {"query": 3, "database": 9}, ids=True)
    with h5py.File(data / "query.h5", "r+") as file:
        file["ids"][1] = "d4"
    with pytest.raises(
        SDCError, match=r"query.h5 and .*database.h5: id d4 is in both \(1 such\); a query must not find"
    ):
        dataset(data, "{split}.h5", labels=None).prepare()


def test_too_few_rows_of_a_class(data):
    with pytest.raises(SDCError, match=r"class '0' has 20 images, too few for query: 15 and train: 9 per class"):
        dataset(data, query=15, train=9).prepare()


def test_data_in_other_files_is_followed_if_that_is_asked_for(data):
    """Then the manifest knows these files too."""
    write_splits(data, {"query": 60})
    layout = h5py.VirtualLayout((60, 4), "f2")
    layout[:] = h5py.VirtualSource("query.h5", "features", (60, 4))
    with h5py.File(data / "all.h5", "w") as file:
        file.create_virtual_dataset("features", layout)
        file["labels"] = h5py.ExternalLink("query.h5", "/labels")
    with pytest.raises(
        SDCError, match=r"all.h5: labels is a link to query.h5:/labels; write .* or set external: follow"
    ):
        dataset(data, "all.h5", labels=None).prepare()
    manifest = dataset(data, "all.h5", labels=None, external="follow").prepare()
    assert manifest.facts["sources"].keys() == {str(data / "all.h5"), str(data / "query.h5")}
    (data / "query.h5").unlink()
    with pytest.raises(SDCError, match=r"all.h5: labels is a link to query.h5:/labels, which is missing"):
        dataset(data, "all.h5", labels=None, external="follow").prepare()


def test_columns_of_classes_must_be_as_many_on_both_sides(data):
    write_splits(data, {"query": 6, "database": 30}, labels=False)
    for split, size, width in (("query", 6, 4), ("database", 30, 3)):
        np.save(data / f"{split}.npy", np.eye(width, dtype=np.uint8)[np.arange(size) % 3])
    with pytest.raises(SDCError, match=r"query.npy: labels have 4 columns, those of .*database.npy 3; give both"):
        dataset(data, "{split}.h5", labels="{split}.npy").prepare()


def test_vectors_whatever_the_order_of_bytes(data):
    vectors = np.load(data / "x.npy")
    np.save(data / "x.npy", np.asfortranarray(vectors.astype(">f4")))
    held = dataset(data)
    manifest = held.prepare()
    taken = held.vectors(manifest)
    assert taken.dtype == np.dtype("=f4")
    assert taken.dtype.isnative
    assert np.array_equal(taken.take(np.arange(60)), vectors[[int(path) for path in manifest.paths]])
