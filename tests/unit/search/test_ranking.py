import numpy as np
import pytest

from sdc import Index, hamming
from sdc.errors import SDCError
from sdc.search.ranking import asymmetric, reranked


@pytest.fixture
def outputs():
    return np.random.default_rng(1).standard_normal((6, 64)).astype(np.float32)


def test_asymmetric_distance_weighs_bits_by_the_outputs(codes, outputs):
    database, ids = codes(200), np.arange(200)[::-1] + 5
    differs = hamming.unpack(database)[None] != (outputs > 0)[:, None]
    exact = (differs * np.abs(outputs)[:, None]).sum(axis=2)
    distances, found = asymmetric(Index.build(database, ids), outputs, 7, candidates=200)
    assert np.allclose(distances, np.sort(exact, axis=1)[:, :7], atol=1e-4)
    assert np.allclose(np.take_along_axis(exact, 204 - found, 1), distances, atol=1e-4)


def test_outputs_of_one_size_rank_as_hamming_does(codes, outputs):
    index = Index.build(codes(200))
    signs = np.sign(outputs)
    distances, found = asymmetric(index, signs, 9, candidates=50)
    plain = index.search(hamming.pack(signs > 0), 9)
    assert np.array_equal(distances, plain[0]) and np.array_equal(found, plain[1])


@pytest.mark.parametrize("engine", ["flat", "ivf", "hnsw", "multihash"])
def test_reranking_orders_candidates_by_cosine(codes, engine):
    features = np.random.default_rng(2).standard_normal((150, 5)).astype(np.float16)
    features[3] = 0
    index, ids = Index.build(codes(150), np.arange(150)[::-1].copy(), engine), []

    def features_of(wanted):
        ids.extend(wanted.tolist())
        return features[wanted]

    queries = codes(4, seed=8)
    distances, found = reranked(index, queries, features[:4].astype(np.float32), features_of, 5, 30)
    candidates = index.search(queries, 30)[1]
    for number, (row, near) in enumerate(zip(found, candidates, strict=True)):
        wide = features.astype(np.float64)
        with np.errstate(invalid="ignore"):
            cosine = wide @ wide[number] / np.linalg.norm(wide, axis=1) / np.linalg.norm(wide[number])
        exact = 1 - np.nan_to_num(cosine)
        near = near[near >= 0]
        best = np.sort(exact[near])[:5]
        assert np.allclose(distances[number][: len(best)], best, atol=1e-3)
        assert np.allclose(exact[row[row >= 0]], best, atol=1e-3)


def test_bad_input_is_one_line(codes, outputs):
    index = Index.build(codes(9))
    with pytest.raises(SDCError, match="k is 10, and the index has 9 codes"):
        asymmetric(index, outputs, 10)
    with pytest.raises(SDCError, match="the queries have 32 bits, not 64"):
        asymmetric(index, outputs[:, :32], 1)
    with pytest.raises(SDCError, match="the cached features are 3 wide, the query's 5; give others"):
        reranked(index, codes(1), np.ones((1, 5)), lambda ids: np.ones((len(ids), 3)), 1)
