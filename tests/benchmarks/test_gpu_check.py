"""The check of a GPU: that its parts run, on the CPU and on sizes that say nothing of speed."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gpu_check")


@pytest.mark.parametrize("part", ["extraction", "training", "encoding", "evaluation"])
def test_gpu_check_runs_on_a_cpu(gpu_check, part):
    rows = gpu_check.PARTS[part].run(gpu_check.TINY, "cpu")
    assert len(rows) >= 2
    assert all(np.isfinite(row.value) for row in rows)
    goals = {row.what: row.value for row in rows if row.goal == 1}
    assert set(goals.values()) <= {1.0}


def test_gpu_check_goes_on_where_packages_are_missing_and_prints_what_its_file_says(gpu_check, tmp_path):
    absent = gpu_check.PARTS["evaluation"]._replace(packages=("no_such_package",))
    rows, problem = gpu_check.run_part("evaluation", "cpu", True, {"evaluation": absent})
    assert (rows, problem) == ([], "no_such_package missing: python -m pip install no_such_package")
    row = {"what": "extraction / bare forward pass", "value": 0.83, "unit": "", "goal": 0.8}
    parts = {"extraction": {"rows": [row], "problem": None}, "evaluation": {"rows": [], "problem": problem}}
    facts = {"machine": "a processor", "device": "a GPU", "torch": "2.14", "seconds": 300.0, "parts": parts}
    table = gpu_check.table(facts).splitlines()
    assert table[0] == "a processor; a GPU; torch 2.14; 300 s in all."
    assert table[-2:] == ["| extraction / bare forward pass | 0.83 | 0.8 |", f"| evaluation | not run: {problem} | |"]
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps(facts))
    program = [
        sys.executable,
        "-S",
        str(ROOT / "benchmarks/gpu_check.py"),
        "--table",
        str(file),
    ]  # -S: nothing installed
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines() == table
