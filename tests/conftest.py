"""What all tests share: small data that they make themselves."""

import os
import sys
from pathlib import Path

# Before NumPy and torch are there: arrays of tests are small, and tests run beside each other. Threads of a library
# that takes every core for each product would only wait for one another, spinning: seven times the core-seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

# A first call may import a library, and machines are shared.
hypothesis.settings.register_profile("sdc", deadline=None)
hypothesis.settings.load_profile("sdc")

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Files whose tests start Snakemake take minutes: first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.parent.name not in ("workflow", "benchmarks"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


def generated(rows, columns, phase):
    """The input generator of the published test vectors: sin((i * columns + j + 1)^2 + phase), float64."""
    i, j = np.mgrid[:rows, :columns]
    return np.sin((i * columns + j + 1.0) ** 2 + phase)


@pytest.fixture(scope="session")
def vectors():
    """``vectors(rows, columns, phase)``: see ``generated``."""
    return generated


@pytest.fixture
def make_images(tmp_path):
    """Write a tree of small real PNG files: ``make_images({"cat": 5, "query/dog": 2})`` returns its root."""
    from PIL import Image

    def make(folders, size=(12, 10), root="images"):
        generator = np.random.default_rng(0)
        base = tmp_path / root
        for folder, count in folders.items():
            (base / folder).mkdir(parents=True, exist_ok=True)
            shade = sum(folder.rpartition("/")[2].encode()) % 200
            for index in range(count):
                noise = generator.integers(0, 56, (size[1], size[0], 3)) + shade
                Image.fromarray(noise.astype(np.uint8)).save(base / folder / f"{index:04}.png")
        return base

    return make


@pytest.fixture
def clustered():
    """``clustered(n, dim)``: features around ten centres, float32, and the centre of each."""

    def make(count, dim, seed=0):
        generator = np.random.default_rng(seed)
        centres = generator.standard_normal((10, dim))
        labels = np.arange(count) % 10
        features = centres[labels] + 0.5 * generator.standard_normal((count, dim))
        return features.astype(np.float32), labels

    return make


@pytest.fixture(scope="session")
def python():
    """This interpreter."""
    return sys.executable
