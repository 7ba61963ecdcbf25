"""Stopwatches: the clock of the CPU, and CUDA events with an L2 flush on the device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

from workers.train.sharding.collect.errors import CollectError


class Stopwatch(Protocol):
    """Times a piece of work on one device."""

    device: Any
    """torch.device on which the work runs."""
    flush_bytes: int
    """Bytes written between two measurements; 0: caches stay as the work left them."""

    def flush(self) -> None:
        """Evict the last measurement's data from the device's cache."""

    def time_ms(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Return milliseconds and result; the work has ended on the device by then."""


class CpuStopwatch:
    """Wall time of this process. Caches stay warm, as in a training loop on the CPU."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.flush_bytes = 0

    def flush(self) -> None:
        """Do nothing: caches stay warm."""

    def time_ms(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Time the work by the monotonic clock."""
        start = time.perf_counter()
        result = work()
        return (time.perf_counter() - start) * 1e3, result


class CudaStopwatch:
    """Time between CUDA events on the current stream. Written for a real GPU; never run on one.

    The buffer is on the device and larger than its L2 (the released code of NeuroShard makes a CPU
    tensor, which flushes nothing). The write is queued just before the first event, so the kernel
    launches from Python overlap with it and the GPU is not idle when the measured work begins.
    """

    def __init__(self, number: int = 0) -> None:
        if not torch.cuda.is_available():
            raise CollectError(
                "--device cuda: torch sees no GPU here; use a machine with one, torch built for "
                "CUDA and fbgemm-gpu (not fbgemm-gpu-cpu), or --device cpu"
            )
        self.device = torch.device("cuda", number)
        torch.cuda.set_device(self.device)
        self.flush_bytes = flush_bytes(torch.cuda.get_device_properties(self.device))
        self._buffer = torch.empty(
            self.flush_bytes, dtype=torch.uint8, device=self.device
        )

    def flush(self) -> None:
        """Write every byte of the buffer."""
        self._buffer.zero_()

    def time_ms(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Time the work between two events, and wait for the second."""
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
    """Return four times the L2, at least 256 MiB.

    An H100 has 50 MB of L2, and its replacement is not strictly by age.
    """
    l2 = int(getattr(properties, "L2_cache_size", 0) or 0)
    return max(4 * l2, 256 * 2**20)


def stopwatch(device: str) -> Stopwatch:
    """Return the stopwatch of a device by name."""
    match device:
        case "cpu":
            return CpuStopwatch()
        case "cuda":
            return CudaStopwatch()
    raise CollectError(f"--device: expected cpu or cuda, got {device!r}")
