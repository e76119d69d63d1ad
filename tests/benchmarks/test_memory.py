"""What memory is measured with."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_memory_of_a_job_is_its_own_and_not_its_parents(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    peak = importlib.import_module("memory").peak
    held = np.ones(50_000_000)
    small = peak([sys.executable, "-S", "-c", "pass"])
    assert 1 < small < 60 < held.nbytes / 1e6
    assert 190 <= peak([sys.executable, "-S", "-c", "bytearray(200_000_000)"]) - small < 230
    with pytest.raises(SystemExit, match="nonsense"):
        peak([sys.executable, "-S", "-c", "raise ValueError('nonsense')"])
