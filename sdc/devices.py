"""Which device computes: a flag or the environment says, never the config."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from sdc.errors import SDCError

if TYPE_CHECKING:
    import torch

# From glibc's malloc.h: M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes, and M_ARENA_MAX.
_MALLOPT = {-3: 2**30, -1: 2**31 - 1, -8: 1}

# Closed, and with them the locks, when the process ends, however it ends.
_locks: list[IO[bytes]] = []


def visible_gpus() -> list[str]:
    """Names of the NVIDIA GPUs that a job here may use, without loading torch.

    Those in ``CUDA_VISIBLE_DEVICES``, which a scheduler sets, else all of the machine.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name not in ("", "-1", "NoDevFiles")]
    return sorted((path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")), key=int)


def count_gpus() -> int:
    """How many NVIDIA GPUs a job here may use, without loading torch."""
    return len(visible_gpus())


def claim(gpus: Sequence[str], folder: Path | None = None) -> int:
    """Claim one of some GPUs, by name, for the rest of this process, and return its position.

    It is one that no other process has claimed, else one with the fewest claims. A claim is a lock on a file, by
    default in a temporary folder of this user, so it ends with the process.
    """
    if len(gpus) == 1 or sys.platform == "win32":
        return 0
    import fcntl

    folder = folder or Path(tempfile.gettempdir()) / f"sdc-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for place in itertools.count():
        for position, name in enumerate(gpus):
            file = (folder / f"{name}-{place}").open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _locks.append(file)
            return position
    raise AssertionError("there is always another place")


def choose(name: str = "auto") -> torch.device:
    """The torch device of a name; ``auto`` is the environment's ``SDC_DEVICE`` or CUDA, then MPS, then CPU.

    Of several GPUs ``auto`` claims one for this process.

    Raises:
        SDCError: If the device is unknown or not on this machine.
    """
    import torch

    if name == "auto":
        name = os.environ.get("SDC_DEVICE", "auto")
    if name == "auto":
        name = _claimed() if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SDCError(f"device {name!r} cannot be used here; allowed: auto, cpu, cuda, cuda:N, mps") from error
    return device


@functools.cache
def _claimed() -> str:
    import torch

    count = torch.cuda.device_count()  # may be less than the names: a list ends at the first that is no GPU
    return f"cuda:{claim([*visible_gpus(), *map(str, range(count))][:count])}"


def native_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; emulation is slower than float32.

    A processor that has the instructions may still be kept from them, by a limit in the environment or a library
    without them: so it shows them too, within milliseconds.
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not in every version that is supported; without it nothing is known, and float32 is right anywhere.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16")) and bfloat16_share() < 1


@functools.cache
def bfloat16_share() -> float:
    """What a matrix product in bfloat16 takes of its time in float32, on this processor.

    About 0.4 where it computes in bfloat16, from 2.5 on where it does not. That neither is ever taken for the other,
    whatever else the machine does, it is the least of some times, and those of the processor for one thread alone.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows, weight = torch.ones(64, 1024), torch.ones(1024, 1024)
        single, half = (_processor_seconds(rows.to(dtype), weight.to(dtype)) for dtype in (rows.dtype, torch.bfloat16))
    finally:
        torch.set_num_threads(threads)
    return half / single if single else 1.0  # some systems' clocks are too coarse


def _processor_seconds(rows: torch.Tensor, weight: torch.Tensor) -> float:
    times = []
    for _ in range(7):
        began = time.thread_time()
        rows @ weight.T
        times.append(time.thread_time() - began)
    return min(times)


def free_bytes(device: torch.device) -> int | None:
    """Memory that a device has left, of a CPU what this process may still take; None where nothing says it."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return available_bytes() if device.type == "cpu" else None


def available_bytes() -> int:
    """Memory that this process may still take: what the system has left, at most what its limits leave.

    Swap is not counted; where nothing says, it is taken to be endless.
    """
    bounds = []
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        bounds += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    bounds += group_limits()
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            bounds.append(max(0, limit - pages * os.sysconf("SC_PAGE_SIZE")))
    if not bounds:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            bounds.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(bounds, default=2**63)


def group_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Limits to the memory of the control groups of this process, each within another; bytes.

    Args:
        groups: Linux's list of them, of either version: a container's, a scheduler's or a service's.
        root: Where they are files.
    """
    limits = []
    with contextlib.suppress(OSError, ValueError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            top, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
            for group in (PurePosixPath(place), *PurePosixPath(place).parents):
                with contextlib.suppress(OSError, ValueError):  # no such file, or max
                    limits.append(int((top / group.relative_to("/") / name).read_text(encoding="ascii")))
    return limits


def peak_bytes() -> int | None:
    """Memory that this process took at most so far, resident; None where the system does not say.

    It is Linux's ``VmHWM``: ``ru_maxrss`` starts with what the parent held before this program took its place.
    """
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    return None


def keep_freed_memory() -> None:
    """Let the C library keep what this process frees, for stages that allocate the same megabytes in each step.

    glibc, and its arenas of threads, return large blocks to the system at once; every page of the next block then costs
    a fault: a third of a forward pass in threads, a tenth of a training step (docs/extraction.md, docs/results.md).
    Call it before threads start. With other C libraries it changes nothing.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        for parameter, value in _MALLOPT.items():
            ctypes.CDLL(None).mallopt(parameter, value)


def make_deterministic() -> None:
    """Let the same program on the same machine give the same bytes, on a GPU too."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TORCHINDUCTOR_DETERMINISTIC", "1")  # where a network is compiled
    # As torch.use_deterministic_algorithms has it, which imports torch's compiler: a second in every job.
    torch.set_deterministic_debug_mode("warn")
    # Else every new tensor is filled first, a tenth of a forward pass; nothing here reads memory it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
