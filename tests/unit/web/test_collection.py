import threading

import numpy as np
import pytest
from PIL import Image

from sdc import Encoder, Index
from sdc.errors import SDCError
from sdc.web.collection import Collection
from tests.support.finished import RUN


def test_answers_are_those_of_the_index_without_the_query(collections):
    index = collections[0].index
    codes = np.unpackbits(index.codes, axis=1)
    for item in (0, 7, 23):
        row = int(index.rows_of([item])[0])
        exact = (codes != codes[row]).sum(axis=1)
        answer = collections[0].answer(collections[0].query_of_item(item), k=23)
        assert item not in [each["id"] for each in answer] and len(answer) == 23
        assert [each["rank"] for each in answer] == [*range(1, 24)]
        assert [each["distance"] for each in answer] == sorted(np.delete(exact, row))
        for each in answer:
            other = int(index.rows_of([each["id"]])[0])
            assert each["distance"] == exact[other]
            assert each["relevant"] == (index.items.labels[other] == index.items.labels[row])
            assert bytes.fromhex(each["code"]) == index.codes[other].tobytes()


def test_k_neighbours_are_k_with_and_without_an_item(collections, finished):
    one = collections[0]
    assert len(one.answer(one.query_of_item(3), k=5)) == 5
    features = one.features(Image.open(finished / "images/cat/0001.png"))
    answer = one.answer(one.query_of_features(features), k=5)
    assert len(answer) == 5 and answer[0]["path"] == "cat/0001.png" and answer[0]["relevant"] is None


def test_the_ways_of_ranking_agree_with_the_encoder(collections, finished):
    one = collections[0]
    assert one.rankings == ["hamming", "asymmetric", "cosine"]
    outputs = Encoder.load(finished / RUN / "head.safetensors").outputs([finished / "images/cat/0004.png"])[0]
    item = next(each for each in one.index.ids if one.item(each)["path"] == "cat/0004.png")
    row = int(one.index.rows_of([item])[0])
    bits = np.unpackbits(one.index.codes, axis=1).astype(bool)
    exact = np.delete(((bits != (outputs > 0)) * np.abs(outputs)).sum(axis=1), row)
    answer = one.answer(one.query_of_item(item, "asymmetric"), "asymmetric", 23)
    assert np.allclose([each["distance"] for each in answer], np.sort(exact), atol=1e-4)
    cosine = one.answer(one.query_of_item(item, "cosine"), "cosine", 23)
    assert [each["distance"] for each in cosine] == sorted(each["distance"] for each in cosine)


def test_a_search_takes_one_core(collections):
    def search():
        collections[0].answer(collections[0].query_of_item(3))
        used.append(faiss.omp_get_max_threads())

    # FAISS keeps this number for each thread.
    faiss, used = pytest.importorskip("faiss"), []
    faiss.omp_set_num_threads(2)
    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert used == [1] and faiss.omp_get_max_threads() == 2


def test_distances_and_relevance_are_of_all_items(collections):
    one = collections[0]
    query = one.query_of_item(5)
    assert len(one.distances(query)) == 23 and one.relevant(query).sum() == 12
    bare = query._replace(row=None)
    assert len(one.distances(bare)) == 24 and one.distances(bare).min() == 0 and one.relevant(bare) is None


def test_thumbnails_and_items(collections):
    assert collections[0].thumbnail(3).startswith(b"\xff\xd8")
    item = collections[0].item(3)
    assert set(item) == {"id", "path", "label", "code"} and item["id"] == 3
    for of in (collections[0].item, collections[0].thumbnail, collections[0].query_of_item):
        with pytest.raises(SDCError, match="id 99 is not in the index"):
            of(99)


def test_codes_alone_are_searched_by_item(tmp_path):
    codes = np.array([[0, 0], [0, 1], [255, 255]], np.uint8)
    paths = ["a.jpg", "b\udcff.jpg", "../../etc/passwd"]
    Index.build(codes, ids=[5, 6, 7], paths=paths, labels=["x", "y", "x"]).save(tmp_path / "i")
    one = Collection(tmp_path / "i")
    assert (one.name, one.rankings, one.takes_images) == ("i 16 bits", ["hamming"], False)
    answer = one.answer(one.query_of_item(5), k=2)
    assert [(each["id"], each["distance"], each["relevant"]) for each in answer] == [(6, 1, False), (7, 16, True)]
    assert answer[0]["path"] == "b�.jpg"
    # What cannot be decoded is gray, whatever it is.
    assert one.thumbnail(7) == one.thumbnail(6)
    for ask in (
        lambda: one.answer(one.query_of_item(5), "cosine"),
        lambda: one.answer(one.query_of_item(5), "asymmetric"),
    ):
        with pytest.raises(SDCError, match="rank by hamming"):
            ask()
    with pytest.raises(SDCError, match="has no head"):
        one.query_of_features(np.ones(3))
    with pytest.raises(SDCError, match="encodes no images"):
        one.features(Image.new("RGB", (3, 3)))


@pytest.mark.parametrize(
    ("kind", "relevant"),
    [(None, [False, False]), ("single", [False, False]), ("multi", [True, False]), ("none", None), ("instance", None)],
)
def test_several_labels_are_shared_where_images_have_several(tmp_path, kind, relevant):
    index = Index.build(np.zeros((3, 1), np.uint8), labels=["sky, sea", "sea", "tree"], facts={"label_kind": kind})
    index.save(tmp_path / "i")
    one = Collection(tmp_path / "i")
    flags = one.relevant(one.query_of_item(0))
    assert (None if flags is None else flags[1:].tolist()) == relevant


def test_labels_whose_names_have_commas_are_told_apart(tmp_path):
    labels = ["oak, old; sea", "sea", "old; sky", "oak, old"]
    index = Index.build(
        np.zeros((4, 1), np.uint8), labels=labels, facts={"label_kind": "multi", "label_separator": "; "}
    )
    index.save(tmp_path / "i")
    one = Collection(tmp_path / "i")
    assert one.relevant(one.query_of_item(0)).tolist() == [True, True, False, True]
    assert one.relevant(one.query_of_item(2)).tolist() == [False, False, True, False]


def test_an_empty_index_is_one_line(tmp_path):
    Index.build(np.zeros((0, 2), np.uint8)).save(tmp_path / "i")
    with pytest.raises(SDCError, match="the index is empty; add codes first"):
        Collection(tmp_path / "i")
