"""Choice of the implementation of an op: Triton on GPUs, native C++ on CPUs, plain torch else."""

from __future__ import annotations

import os
from enum import StrEnum

import torch

VARIABLE = "TRIMTAB_KERNELS"


class Backend(StrEnum):
    """Implementations of an op. Every op has a reference; not every op has the others."""

    REFERENCE = "reference"
    NATIVE = "native"
    TRITON = "triton"


def backend(tensor: torch.Tensor) -> Backend:
    """Return the implementation for a tensor's device, or the one that TRIMTAB_KERNELS forces.

    The native code is only chosen for CPUs, and only where it can be built: see
    `cuda.kernels.native.library`. Forcing it where it cannot be built is an error.

    Raises:
        ValueError: TRIMTAB_KERNELS names no implementation, or one that the device cannot run.
        OSError: TRIMTAB_KERNELS forces native code, and it cannot be built.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced:
        return _forced(forced, tensor)
    if tensor.device.type == "cuda":
        return Backend.TRITON if has_triton() else Backend.REFERENCE
    if tensor.device.type == "cpu":
        from cuda.kernels.native.library import library

        return Backend.NATIVE if library() is not None else Backend.REFERENCE
    return Backend.REFERENCE


def _forced(name: str, tensor: torch.Tensor) -> Backend:
    if name not in set(Backend):
        raise ValueError(
            f"{VARIABLE}: expected one of {', '.join(Backend)}, got {name!r}; "
            "leave it unset to choose by device"
        )
    if name == Backend.NATIVE:
        from cuda.kernels.native.library import require_library

        require_library()
        if tensor.device.type != "cpu":
            raise ValueError(f"{VARIABLE}: native runs on cpu, got {tensor.device}")
    if name == Backend.TRITON and tensor.device.type == "cpu" and not interpreted():
        raise ValueError(
            f"{VARIABLE}: triton on {tensor.device} runs only in the interpreter; "
            "set TRITON_INTERPRET=1 before the start"
        )
    return Backend(name)


def interpreted() -> bool:
    """Return whether Triton kernels run in its interpreter, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def has_triton() -> bool:
    """Return whether Triton can be imported."""
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True
