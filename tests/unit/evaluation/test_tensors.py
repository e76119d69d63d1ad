import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc.errors import SDCError
from sdc.evaluation import ranking, tensors
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate

DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu])]


def both(device, seed, queries, items, width, depth):
    """The same search with arrays and with tensors, and its ground truth."""
    generator = np.random.default_rng(seed)
    codes = [generator.integers(0, 1 + generator.integers(1, 256), (n, width), np.uint8) for n in (queries, items)]
    labels = [generator.integers(0, 4, (n, generator.integers(1, depth + 1))) for n in (queries, items)]
    truth = SharedLabels(*([sorted(set(row)) for row in part.tolist()] for part in labels))
    return ranking.Hamming(*codes), tensors.Hamming(*(torch.from_numpy(part).to(device) for part in codes)), truth


@pytest.mark.parametrize("device", DEVICES)
def test_blocks_are_those_of_arrays(device, monkeypatch):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setattr(tensors, "BLOCK_PAIRS", 100)

    @given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 40), st.integers(1, 9), st.integers(1, 3))
    def same(seed, queries, items, width, depth):
        arrays, held, truth = both(device, seed, queries, items, width, depth)
        top = 1 + seed % items
        for field in range(2):
            expected, found = (
                np.concatenate([block[field] for block in search.blocks(truth, top)]) for search in (arrays, held)
            )
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype

    same()


@pytest.mark.parametrize("device", DEVICES)
def test_metrics_are_those_of_arrays(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    arrays, held, truth = both(device, 0, 30, 500, 2, 1)
    assert evaluate(held, truth, [20, None], jobs=2).metrics() == pytest.approx(
        evaluate(arrays, truth, [20, None]).metrics()
    )


def test_codes_must_be_alike():
    codes = torch.zeros(3, 2, dtype=torch.uint8)
    with pytest.raises(SDCError, match="16 bits on cpu and 8 bits on cpu"):
        tensors.Hamming(codes, codes[:, :1])
    with pytest.raises(SDCError, match="packed uint8"):
        tensors.Hamming(codes.float(), codes.float())
    with pytest.raises(SDCError, match="2056 bits"):
        tensors.Hamming(*[torch.zeros(1, 257, dtype=torch.uint8)] * 2)
