"""LSH against published vectors (random hyperplanes given, so only the encoding is at stake)."""

import numpy as np

from sdc import hamming
from sdc.methods.base import linear_head


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


def test_centred_bits(vectors):
    assert encode(vectors, centred=True)[1] == "0110 1001 1001 0111 1100 0101 0001 0110".split()
