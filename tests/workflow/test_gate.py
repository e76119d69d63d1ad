"""The style, as a test: linters, formatters, types."""

import os
import subprocess
from pathlib import Path

import pytest

COMMANDS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "snakefmt": ["snakefmt", "--check", "Snakefile", "workflow"],
    "mypy": ["mypy"],
    "snakemake --lint": ["snakemake", "--lint"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_gate(root, python, name):
    env = {**os.environ, "PATH": f"{Path(python).parent}:{os.environ['PATH']}"}
    done = subprocess.run(COMMANDS[name], cwd=root, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
