"""Cores, memory and GPUs of this machine or container, for `/v1/workers` and `trimtab doctor`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Files of cgroup v2 and v1, as a container sees them.
_MEMORY_LIMITS = (
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/memory/memory.limit_in_bytes",
)
_CPU_QUOTAS = ("sys/fs/cgroup/cpu.max",)


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU, as its driver reports it."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Resources that runs share."""

    cores: float  # of the affinity mask, or the cgroup's quota if less
    memory_bytes: int  # of the machine, or the cgroup's limit if less
    gpus: tuple[Gpu, ...] = ()

    def as_json(self) -> Mapping[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def look(root: Path = Path("/")) -> Resources:
    """Return this machine's resources. Takes up to a second with a GPU: call it in a thread."""
    return Resources(cores=_cores(root), memory_bytes=_memory_bytes(root), gpus=gpus())


def _cores(root: Path) -> float:
    cores = float(len(os.sched_getaffinity(0)))
    for name in _CPU_QUOTAS:
        with contextlib.suppress(OSError, ValueError):
            quota, period = (root / name).read_text().split()
            cores = min(cores, int(quota) / int(period))  # "max" is no int: no quota
    return cores


def _memory_bytes(root: Path) -> int:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int((root / name).read_text()))
    return total


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that `nvidia-smi` lists; none without it, or when it fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(_gpus_of(done.stdout))


def _gpus_of(table: str) -> list[Gpu]:
    listed = []
    for line in table.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if name and mebibytes.strip().isdigit():
            listed.append(Gpu(name=name.strip(), memory_bytes=int(mebibytes) * 2**20))
    return listed
