import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdc import hamming
from sdc.evaluation import code_health
from sdc.evaluation.code_health import CodeHealth
from sdc.evaluation.metrics import measure


def finite(scores):
    return all(isinstance(value, int | float) and math.isfinite(value) for value in scores.values())


def health(codes, bits=None):
    return measure(CodeHealth(codes, bits))


@given(st.integers(1, 12), st.integers(1, 11), st.integers(0, 2**32 - 1))
def test_bit_health_is_that_of_the_definitions(n, width, seed):
    bits = np.random.default_rng(seed).random((n, width)) < np.random.default_rng(seed + 1).random(width)
    scores = health(np.packbits(bits, axis=1), bits=width)
    assert finite(scores)
    shares = bits.mean(axis=0)
    assert scores["bit_imbalance"] == pytest.approx(np.abs(2 * shares - 1).mean())
    assert (scores["bit_share_min"], scores["bit_share_max"]) == pytest.approx((shares.min(), shares.max()))
    assert scores["bit_entropy"] == pytest.approx(np.mean([stats.entropy([p, 1 - p], base=2) for p in shares]))
    live = bits[:, (shares > 0) & (shares < 1)]
    assert scores["dead_bits"] == width - live.shape[1]
    signs = np.where(bits, 1.0, -1.0)
    assert scores["bit_gram_deviation"] == pytest.approx(
        np.linalg.norm(signs.T @ signs / n - np.eye(width)) / width, abs=1e-12
    )
    if live.shape[1] < 2:
        assert "bit_correlation_mean" not in scores
        return
    correlations = [abs(np.corrcoef(live[:, i], live[:, j])[0, 1]) for i in range(live.shape[1]) for j in range(i)]
    assert scores["bit_correlation_mean"] == pytest.approx(np.mean(correlations))
    assert scores["bit_correlation_max"] == pytest.approx(max(correlations))
    assert scores["bit_correlation_max"] <= 1


@given(st.lists(st.lists(st.sampled_from([0, 1, 255]), min_size=2, max_size=2), min_size=1, max_size=12))
def test_code_health_is_that_of_the_definitions(rows):
    scores = health(np.array(rows, np.uint8))
    assert finite(scores)
    buckets, n = Counter(map(tuple, rows)), len(rows)
    entropy = -sum(count / n * math.log2(count / n) for count in buckets.values())
    assert (scores["unique_codes"], scores["largest_bucket"]) == (len(buckets), max(buckets.values()))
    assert scores["unique_share"] == pytest.approx(len(buckets) / n)
    assert scores["space_share"] == pytest.approx(len(buckets) / 65_536)
    assert scores["largest_bucket_share"] == pytest.approx(max(buckets.values()) / n)
    assert scores["collision_probability"] == pytest.approx(np.mean([a == b for a in rows for b in rows]))
    assert scores["code_entropy"] == pytest.approx(entropy, abs=1e-12)
    assert scores["code_entropy_max"] == pytest.approx(math.log2(n))
    assert scores["code_entropy_miller_madow"] == pytest.approx(entropy + (len(buckets) - 1) / (2 * n * math.log(2)))
    assert ("code_entropy_ratio" in scores) == (n > 1)
    if n > 1:
        assert scores["code_entropy_ratio"] == pytest.approx(entropy / math.log2(n), abs=1e-12)


def test_all_codes_once():
    codes = np.arange(256, dtype=np.uint8)[:, None]
    codes = np.concatenate([codes, codes])
    scores = health(codes)
    assert (scores["code_entropy"], scores["code_entropy_max"], scores["space_share"]) == (8, 8, 1)
    bits = health(codes)
    assert (bits["bit_imbalance"], bits["bit_correlation_max"], bits["bit_gram_deviation"]) == (0, 0, 0)
    assert bits["bit_entropy"] == 1


def test_random_codes_fill_as_much_space_as_chance():
    codes = np.random.default_rng(0).integers(0, 256, (59_000, 2), np.uint8)
    scores = health(codes)
    # 2^16 (1 - (1 - 2^-16)^59000) = 38,898, give or take 100.
    assert scores["unique_codes"] == pytest.approx(38_898, abs=400)


def test_codes_in_blocks(monkeypatch):
    codes = np.random.default_rng(0).integers(0, 256, (20, 2), np.uint8)
    whole = health(codes)
    monkeypatch.setattr(code_health, "ROWS", 7)
    assert health(codes) == whole


def test_one_bit_twice_and_one_dead():
    bits = np.zeros((4, 8), bool)
    bits[:2, 0] = bits[:2, 1] = True  # equal
    bits[2:, 2] = True  # opposite
    scores = health(hamming.pack(bits))
    assert (scores["bit_correlation_mean"], scores["bit_correlation_max"], scores["dead_bits"]) == (1, 1, 5)


def test_no_codes():
    assert health(np.zeros((0, 2), np.uint8)) == health(np.zeros((0, 2), np.uint8)) == {}
