import numpy as np
import pytest


@pytest.fixture
def codes():
    """``codes(n, bits)``: packed codes around 20 centres, as those of real images lie, uint8."""

    def make(count, bits=64, seed=0, flip=0.06):
        generator = np.random.default_rng(seed)
        centres = np.random.default_rng(99).random((20, bits)) < 0.5
        noise = generator.random((count, bits)) < flip
        return np.packbits(centres[generator.integers(0, 20, count)] ^ noise, axis=1)

    return make
