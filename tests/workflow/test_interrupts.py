"""When Snakemake ends, its jobs end too, and the next run goes on as if they had never been."""

import os
import signal
import sys
import time

import numpy as np
import pytest

from tests.support.workflow import jobs_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs live on")
IMAGES = "results/manifests/many.images.csv"
# Seconds in which jobs must have ended.
LIMIT = 5


@pytest.fixture
def slow(workflow):
    """A workflow whose first job takes seconds."""
    rows = 1_000_000
    np.savez(workflow.folder / "many.npz", features=np.ones((rows, 1), np.float32), labels=np.arange(rows) % 10)
    many = {"type": "features", "file": "many.npz", "query": 100}
    workflow.configure({"run": {"datasets": ["many"], "backbones": ["imported"]}, "datasets": {"many": many}})
    return workflow


@pytest.mark.parametrize(
    ("number", "kill"), [(signal.SIGKILL, os.kill), (signal.SIGHUP, os.kill), (signal.SIGINT, os.killpg)]
)
def test_jobs_end_with_snakemake(slow, number, kill):
    """Killed alone, without its terminal, or with Ctrl-C, which reaches jobs too."""
    process = slow.start(IMAGES)
    until(lambda: jobs_of(process, "python -m sdc prepare"), process, slow.folder / "log.txt")
    time.sleep(np.random.default_rng().uniform(0, 1))
    kill(process.pid, number)
    began = time.monotonic()
    process.wait()
    while jobs_of(process, "sdc prepare") and time.monotonic() < began + LIMIT:
        time.sleep(0.05)
    assert not jobs_of(process, "sdc prepare")
    text = slow.path("logs/prepare/many.log").read_text()
    reason = "SIGINT" if number == signal.SIGINT else "Snakemake has ended"
    # It may have ended before Python was there to say so.
    assert text.endswith(f"sdc prepare: interrupted ({reason})\n") or not text
    assert "Traceback" not in text
    assert not (slow.folder / IMAGES).exists()
    assert not list(slow.folder.rglob("*.part"))
    if number == signal.SIGKILL:
        slow("--unlock")
        assert slow("--dry-run", IMAGES).jobs == {"prepare": 1}
