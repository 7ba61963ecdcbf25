"""Stopwatches: the CPU's clock, and CUDA events with an L2 that is really flushed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

from workers.train.sharding.collect.errors import CollectError


class Stopwatch(Protocol):
    """Times a piece of work on one device."""

    device: Any
    """torch.device that work runs on."""
    flush_bytes: int
    """Written between two measurements; 0: caches stay as the work left them."""

    def flush(self) -> None:
        """Drive the last measurement's data out of the device's cache."""

    def time_ms(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """(milliseconds, result); the work has ended on the device when this returns."""


class CpuStopwatch:
    """Wall time of this process. Caches are left warm, as a training loop on the CPU finds them."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.flush_bytes = 0

    def flush(self) -> None:
        """Nothing: see the class."""

    def time_ms(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Between two readings of the monotonic clock."""
        start = time.perf_counter()
        result = work()
        return (time.perf_counter() - start) * 1e3, result


class CudaStopwatch:
    """Time between CUDA events on the current stream. Written for a real GPU; never run on one.

    The buffer lives ON THE DEVICE and is larger than its L2 (the reference code of NeuroShard makes a CPU tensor
    there, which flushes nothing). The write is queued just before the first event, so the kernels' launches from
    Python overlap with it and the GPU is not idle when the measured work begins.
    """

    def __init__(self, number: int = 0) -> None:
        if not torch.cuda.is_available():
            raise CollectError(
                "--device cuda: torch sees no GPU here; take a machine with one, torch built for CUDA and fbgemm-gpu "
                "(not fbgemm-gpu-cpu), or say --device cpu"
            )
        self.device = torch.device("cuda", number)
        torch.cuda.set_device(self.device)
        self.flush_bytes = flush_bytes(torch.cuda.get_device_properties(self.device))
        self._buffer = torch.empty(self.flush_bytes, dtype=torch.uint8, device=self.device)

    def flush(self) -> None:
        """Write every byte of the buffer."""
        self._buffer.zero_()

    def time_ms(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Between two events; waits for the second."""
        start, end = (
            torch.cuda.Event(enable_timing=True),
            torch.cuda.Event(enable_timing=True),
        )
        start.record()
        result = work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)), result


def flush_bytes(properties: Any) -> int:
    """Four times the L2, at least 256 MiB: an H100 has 50 MB, and replacement is not strictly by age."""
    l2 = int(getattr(properties, "L2_cache_size", 0) or 0)
    return max(4 * l2, 256 * 2**20)


def stopwatch(device: str) -> Stopwatch:
    """By name."""
    match device:
        case "cpu":
            return CpuStopwatch()
        case "cuda":
            return CudaStopwatch()
    raise CollectError(f"--device wants cpu or cuda; {device!r} came")
