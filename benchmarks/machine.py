"""What a benchmark runs on: it stands beside every figure, since few hold on another processor."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

# What makes a difference here, by the names that Linux gives it: of x86-64, then of Arm.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vpopcntdq", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
# Variables by which torch, its libraries and NumPy's are kept from instructions that the processor has.
LIMITS = ("ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "NUMBA_CPU_NAME")


def describe(information: str | None = None, environment: Mapping[str, str] = os.environ) -> str:
    """The processor's name, the cores of this process, its instruction sets, and what limits their use, in one line.

    Args:
        information: What Linux tells in ``/proc/cpuinfo``, which is read if it is not given.
        environment: Variables that may limit what is used.
    """
    if information is None:
        source = Path("/proc/cpuinfo")
        information = source.read_text() if source.exists() else ""
    fields: dict[str, str] = {}
    for line in information.splitlines():  # of the first processor, the rest are alike
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields.get('model', '?')})"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    sets = " ".join(flag for flag in INSTRUCTIONS if flag in flags) or "instruction sets unknown"
    limits = ", ".join(f"{variable}={environment[variable]}" for variable in LIMITS if variable in environment)
    return f"{name}, {cores} core{'s' * (cores != 1)}, {sets}" + (f"; limited by {limits}" if limits else "")


if __name__ == "__main__":
    print(describe())
