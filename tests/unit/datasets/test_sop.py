import numpy as np
import pytest

from sdc.datasets.problems import Problems
from sdc.datasets.sop import FOLDER, SOP
from sdc.errors import SDCError
from tests.support.datasets import SOP_HEADER as HEADER
from tests.support.datasets import SOP_KINDS as KINDS
from tests.support.datasets import make_sop


@pytest.fixture
def root(tmp_path):
    """Three kinds with four products of three images each; the last two products of a kind are the test half."""
    make_sop(tmp_path)
    return tmp_path


def product_of(path):
    return path.partition("_final/")[2].partition("_")[0]


def test_kinds_are_drawn_from_all_images(root):
    manifest = SOP(root=str(root), query=2, train=3).prepare()
    assert manifest.facts["classes"] == list(KINDS)
    assert manifest.facts["counts"] == {"images": 36, "query": 6, "database": 30, "train": 9}
    assert manifest.facts["splits"]["train"] == "inside the database"
    for path, labels in zip(manifest.paths, manifest.labels, strict=True):
        assert path.startswith(f"{FOLDER}/{KINDS[labels[0]]}_final/")
    assert np.bincount([manifest.labels[row][0] for row in manifest.rows("query")]).tolist() == [2, 2, 2]


def test_products_have_one_query_each_outside_the_database(root):
    manifest = SOP(root=str(root), labels="product").prepare()
    assert manifest.facts["counts"] == {"images": 36, "query": 6, "database": 12, "train": 18}
    assert manifest.facts["splits"] == {
        "query and database": "disjoint",
        "query and train": "disjoint",
        "train": "outside the database",
    }
    products = {
        split: [product_of(manifest.paths[row]) for row in manifest.rows(split)] for split in ("query", "train")
    }
    assert sorted(products["query"]) == [f"{110000000000 + number}" for number in range(7, 13)]
    assert set(products["train"]) == {f"{110000000000 + number}" for number in range(1, 7)}
    assert manifest.facts["classes"] == [str(number) for number in range(1, 13)]
    for path, labels in zip(manifest.paths, manifest.labels, strict=True):
        assert int(product_of(path)) == 110000000001 + labels[0]


def test_a_product_with_one_image_asks_for_nothing(root):
    path = root / FOLDER / "Ebay_test.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], *lines[4:]]) + "\n")
    manifest = SOP(root=str(root), labels="product").prepare()
    assert manifest.facts["counts"] == {"images": 34, "query": 5, "database": 11, "train": 18}


def test_queries_depend_on_the_seed_and_rows_do_not(root):
    drawn = [SOP(root=str(root), labels="product", seed=seed).prepare() for seed in (0, 0, 1)]
    assert drawn[0].paths == drawn[1].paths == drawn[2].paths != sorted(drawn[0].paths)
    asked = [{manifest.paths[row] for row in manifest.rows("query")} for manifest in drawn]
    assert asked[0] == asked[1] != asked[2]


def test_root_may_be_the_folder_itself(root):
    manifest = SOP(root=str(root / FOLDER), query=1, train=1).prepare()
    assert manifest.paths[0].count("/") == 1
    assert SOP(root=str(root / FOLDER)).opener()(manifest.paths[0]).mode == "RGB"


def test_missing_images_and_lists(root):
    (root / FOLDER / "sofa_final/110000000005_0.JPG").unlink()
    with pytest.raises(SDCError, match=r"1 of 36 listed files are missing: .*sofa_final/110000000005_0.JPG"):
        SOP(root=str(root)).prepare()
    manifest = SOP(root=str(root), on_error="skip", query=2, train=2).prepare()
    assert (len(manifest), len(manifest.facts["dropped"])) == (35, 1)
    assert SOP(root=str(root)).missing() == []
    (root / FOLDER / "Ebay_test.txt").unlink()
    assert len(SOP(root=str(root)).missing()) == 1
    with pytest.raises(
        SDCError, match=r"Ebay_test.txt: no such file .*holds Ebay_info.txt, .*; set root to the folder"
    ):
        SOP(root=str(root)).prepare()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [HEADER, "1 1 1 a/b.JPG", "2 one 1 a/c.JPG", "3 1"],
            r"line 3 is not three numbers and a path \(2 such lines\)",
        ),
        (["1 1 1 a/b.JPG"], r"Ebay_test.txt: begins '1 1 1 a/b.JPG', expected image_id class_id"),
        ([], r"Ebay_test.txt: begins ''"),
    ],
)
def test_bad_lists(root, lines, message):
    (root / FOLDER / "Ebay_test.txt").write_text("\n".join(lines))
    with pytest.raises(SDCError, match=message):
        SOP(root=str(root)).prepare()


def test_bad_lines_are_left_out_where_problems_are_gathered(root):
    path = root / FOLDER / "Ebay_test.txt"
    path.write_text(path.read_text() + "one two three four\n\n")
    problems = Problems(gather=True)
    assert len(SOP(root=str(root), query=1, train=1).scan(problems)) == 36
    assert "Ebay_test.txt: line 20 is not three numbers and a path (1 such lines)" in problems.lines[0]


def test_defaults_are_what_the_protocol_counts_say():
    published = SOP.protocols
    assert 12 * SOP().query == published["super"].query and 12 * SOP().train == published["super"].train
    assert published["super"].query + published["super"].database == 120_053
    assert sum((published["product"].query, published["product"].database)) == 60_502
    assert (SOP().map_at, SOP().protocol, SOP(labels="product").protocol) == (1000, "super", "product")
