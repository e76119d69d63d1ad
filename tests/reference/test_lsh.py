"""LSH against published vectors (random hyperplanes given, so only the encoding is at stake)."""

import numpy as np
import pytest
import torch

from sdc import hamming
from sdc.head import linear_head
from sdc.methods.losses import quantisation_gap


def encode(vectors, centred):
    weight, features = vectors(4, 6, 2.0), vectors(8, 6, 0)
    # Codes fill bytes, so every hyperplane is there twice.
    weight = np.concatenate([weight, weight])
    mean = features.mean(axis=0) if centred else np.zeros(6)
    codes = linear_head(weight, -(weight @ mean)).encode(features)
    return codes, ["".join("01"[bit] for bit in row[:4]) for row in hamming.unpack(codes).astype(int)]


def test_bits_and_distances(vectors):
    codes, bits = encode(vectors, centred=False)
    assert bits == "0010 1001 1000 0010 1100 0101 0001 0010".split()
    assert (hamming.distances(codes[:1], codes)[0] // 2).tolist() == [0, 3, 2, 0, 3, 3, 2, 0]


def test_logits_and_their_gap_to_signs(vectors):
    logits = vectors(8, 6, 0) @ vectors(4, 6, 2.0).T
    head = linear_head(vectors(4, 6, 2.0), np.zeros(4))
    assert head.logits(vectors(8, 6, 0)) == pytest.approx(logits, abs=1e-6)
    assert logits[0] == pytest.approx([-0.286202, -0.230669, 1.606252, -0.925318], abs=1e-6)
    assert quantisation_gap(torch.from_numpy(logits)).item() == pytest.approx(0.222490, abs=1e-6)


def test_centred_bits(vectors):
    assert encode(vectors, centred=True)[1] == "0110 1001 1001 0111 1100 0101 0001 0110".split()
