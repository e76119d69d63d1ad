"""ITQ against published vectors, of the correct update and of the one in public PyTorch code."""

import numpy as np
import pytest

from sdc.methods.itq import iterate


@pytest.fixture
def projected(vectors):
    data = vectors(8, 3, 0)
    return data - data.mean(axis=0)


def test_objectives_and_rotation(projected):
    rotation, objectives = iterate(projected, np.eye(3), 1, 0, "procrustes")
    assert rotation == pytest.approx(
        np.array([[0.995142, 0.096104, 0.021340], [-0.093470, 0.990424, -0.101605], [-0.030901, 0.099117, 0.994596]]),
        abs=1e-6,
    )
    rotation, objectives = iterate(projected, np.eye(3), 3, 0, "procrustes")
    assert objectives == pytest.approx([6.882616, 6.545573, 6.058270, 6.058270], abs=1e-6)
    assert rotation == pytest.approx(
        np.array([[0.913599, 0.290518, 0.284492], [-0.296875, 0.954674, -0.021529], [-0.277852, -0.064790, 0.958437]]),
        abs=1e-6,
    )
    bits = ["".join("01"[bit] for bit in row) for row in (projected @ rotation > 0).astype(int)]
    assert bits == "101 100 010 010 010 000 101 110".split()


def test_public_update_does_not_descend(projected):
    _, objectives = iterate(projected, np.eye(3), 4, 0, "public")
    assert objectives == pytest.approx([6.882616, 8.501147, 7.694510, 10.664760, 7.951544], abs=1e-6)
