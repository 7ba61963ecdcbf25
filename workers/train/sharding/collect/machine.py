"""Describe the machine of a measurement for the header, without names of hosts or users."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "fbgemm-gpu", "fbgemm-gpu-cpu", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that do the work."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def machine(device: str) -> dict[str, Any]:
    """Return CPU, cores and memory; with `cuda` also the GPUs."""
    facts: dict[str, Any] = {
        "system": platform.system(),
        "arch": platform.machine(),
        "cpu": cpu_model(Path("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "memory_gib": round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
        ),
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        facts |= {
            "gpu": properties.name,
            "gpus": torch.cuda.device_count(),
            "gpu_memory_gib": round(properties.total_memory / 2**30, 1),
            "gpu_l2_bytes": int(getattr(properties, "L2_cache_size", 0) or 0),
            "cuda": torch.version.cuda,
        }
    return facts


def cpu_model(cpuinfo: Path) -> str:
    """Return `model name` of Linux's cpuinfo, or the processor that Python reports."""
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        return platform.processor()
    names = [
        line.partition(":")[2].strip()
        for line in text.splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()
