import numpy as np
import pytest

from sdc import LSH, Encoder, Index
from sdc.errors import SDCError
from sdc.search.answers import about, neighbours, ranked

FEATURES = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def index():
    head = LSH(bits=16, seed=0).fit(FEATURES).head
    paths, labels = [f"{row}.jpg" for row in range(40)], [str(row % 3) for row in range(40)]
    return Index.build(head.encode(FEATURES), range(100, 140), paths=paths, labels=labels, head=head)


def test_each_way_ranks_by_its_own_distance(index):
    encoder, queries = Encoder(index.head), FEATURES[:3] + np.float32(0.01)
    differ = np.unpackbits(index.codes[None] ^ index.head.encode(queries)[:, None], axis=2).astype(bool)
    outputs = np.abs(index.head.logits(queries))
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (queries, FEATURES)]
    exact = {
        "hamming": differ.sum(axis=2),
        "asymmetric": (differ * outputs[:, None]).sum(axis=2),
        "cosine": 1 - unit[0] @ unit[1].T,
    }
    for by, distances in exact.items():
        found, ids = ranked(index, encoder, queries, by, 5, lambda ids: FEATURES[ids - 100], 40)
        assert np.allclose(found, np.sort(distances, axis=1)[:, :5], atol=1e-5)
        assert np.allclose(np.take_along_axis(distances, ids - 100, 1), found, atol=1e-5)


def test_the_cosine_takes_features(index):
    with pytest.raises(SDCError, match="there are no cached features to rank by"):
        ranked(index, Encoder(index.head), FEATURES[:1], "cosine")


def test_neighbours_say_what_they_are(index):
    found = neighbours(index, np.array([2, 3, 9]), np.array([104, 100, -1]))
    assert found == [
        {"rank": 1, "distance": 2, "id": 104, "path": "4.jpg", "label": "1"},
        {"rank": 2, "distance": 3, "id": 100, "path": "0.jpg", "label": "0"},
    ]
    assert about(index, 7) == {"id": 107, "path": "7.jpg", "label": "1"}
    assert neighbours(index, np.array([9]), np.array([-1])) == []
