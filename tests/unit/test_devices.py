import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sdc import devices
from sdc.errors import SDCError


def test_named_device_and_environment(monkeypatch):
    assert devices.choose("cpu").type == "cpu"
    monkeypatch.setenv("SDC_DEVICE", "cpu")
    assert devices.choose().type == "cpu"
    monkeypatch.setenv("SDC_DEVICE", "meta")
    assert devices.choose().type == "meta"
    assert devices.choose("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_unknown_devices(name):
    with pytest.raises(SDCError, match=f"device '{name}' cannot be used here; allowed: auto, cpu, cuda, cuda:N, mps"):
        devices.choose(name)


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    import torch

    monkeypatch.delenv("SDC_DEVICE", raising=False)
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert devices.choose().type == expected


@pytest.mark.parametrize(
    ("value", "names"),
    [("0,2", ["0", "2"]), ("GPU-1a,MIG-2b", ["GPU-1a", "MIG-2b"]), ("", []), ("-1", []), ("NoDevFiles", [])],
)
def test_gpus_are_those_a_scheduler_gave(monkeypatch, value, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert devices.visible_gpus() == names
    assert devices.count_gpus() == len(names)


def test_gpus_are_those_of_the_machine(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(
        Path, "glob", lambda self, pattern: map(Path, ("/dev/nvidia10", "/dev/nvidia0", "/dev/nvidia2"))
    )
    assert devices.visible_gpus() == ["0", "2", "10"]


@pytest.fixture
def job(tmp_path):
    """Start a process that claims one of two GPUs and holds it; gives the process and the GPU's position."""
    program = "import pathlib, sys; from sdc import devices\n"
    program += f"print(devices.claim(['0', '1'], pathlib.Path({str(tmp_path)!r})), flush=True); sys.stdin.read()"
    jobs = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        jobs.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in jobs:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no claims on Windows")
def test_every_job_has_a_gpu_of_its_own(job):
    first, one = job()
    _, other = job()
    assert {one, other} == {0, 1}
    first.kill()  # whatever ends a process ends its claim
    first.wait()
    assert job()[1] == one


@pytest.mark.skipif(sys.platform == "win32", reason="there are no claims on Windows")
def test_more_jobs_than_gpus_share_them_evenly(job):
    assert sorted(job()[1] for _ in range(4)) == [0, 0, 1, 1]


def test_the_only_gpu_needs_no_claim(tmp_path):
    assert devices.claim(["0"], tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()


def test_auto_claims_what_cuda_counts(monkeypatch):
    import torch

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,99")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    claimed = []
    monkeypatch.setattr(devices, "claim", lambda names: claimed.append(names) or 1)
    assert devices._claimed.__wrapped__() == "cuda:1"
    assert claimed == [["3", "5"]]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_kept(python):
    """Pages that are touched again cost no fault; in a process of its own, for it is told for good."""
    program = """if True:
        import resource, sys, threading
        import numpy as np
        from sdc import devices
        if sys.argv[1] == "kept":
            devices.keep_freed_memory()
        def some():
            for _ in range(20):
                [np.ones(2**20) for _ in range(5)]
        def work():
            some()
            thread = threading.Thread(target=some)  # threads have arenas of their own, which are small
            thread.start()
            thread.join()
        work()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        work()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    faults = {how: int(subprocess.check_output([python, "-c", program, how])) for how in ("kept", "as it is")}
    assert faults["kept"] < faults["as it is"] / 10


def test_the_memory_that_is_left():
    free = devices.free_bytes(torch.device("cpu"))
    assert free is None or 1e6 < free < 1e15
    assert devices.free_bytes(torch.device("meta")) is None


def test_limits_of_the_process_count():
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        limit = 2**36
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        assert 0 < devices.available_bytes() < limit
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_limits_of_control_groups_of_either_version(tmp_path):
    second = {"memory.max": "8000", "job/memory.max": "max", "job/step/memory.max": "5000"}
    first = {"memory/a/memory.limit_in_bytes": "4000", "memory/memory.limit_in_bytes": "9000"}
    for place, limit in {**second, **first}.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(limit + "\n")
    groups = tmp_path / "cgroup"
    groups.write_text("0::/job/step\n3:cpu,cpuacct:/a\n")
    assert sorted(devices.group_limits(groups, tmp_path)) == [5000, 8000]
    groups.write_text("4:memory:/a/b\n3:cpu,cpuacct:/a\n")
    assert sorted(devices.group_limits(groups, tmp_path)) == [4000, 9000]
    groups.write_text("no such thing")
    assert devices.group_limits(groups, tmp_path) == devices.group_limits(tmp_path / "missing", tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says it")
def test_peak_of_this_process():
    before = devices.peak_bytes()
    held = b"x" * 160_000_000
    assert devices.peak_bytes() >= max(before, len(held))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_memory_that_a_gpu_has_left():
    assert 0 < devices.free_bytes(torch.device("cuda")) <= torch.cuda.mem_get_info()[1]


CPU = torch.device("cpu")


def test_bfloat16_is_native_where_the_processor_has_it_and_shows_it(monkeypatch):
    monkeypatch.setattr(devices, "bfloat16_share", lambda: 0.4)
    for known, expected in (({"amx_bf16": True}, True), ({"avx512_bf16": False}, False), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known, raising=False)
        assert devices.native_bfloat16(CPU) is expected
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True}, raising=False)
    monkeypatch.setattr(devices, "bfloat16_share", lambda: 2.5)
    assert not devices.native_bfloat16(CPU)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not devices.native_bfloat16(CPU)
    assert not devices.native_bfloat16(torch.device("mps"))


def test_a_try_of_bfloat16_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    assert devices.bfloat16_share.__wrapped__() > 0
    assert torch.get_num_threads() == before


@pytest.mark.skipif(
    not getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"), reason="needs a processor with bfloat16"
)
@pytest.mark.parametrize(("limit", "expected"), [("DEFAULT", True), ("AVX512_CORE", False), ("AVX2", False)])
def test_a_processor_that_is_kept_from_bfloat16_is_found_out(python, limit, expected):
    program = "import torch; from sdc.devices import native_bfloat16 as n; print(n(torch.device('cpu')))"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": limit}
    assert subprocess.check_output([python, "-c", program], env=environment).strip() == str(expected).encode()
