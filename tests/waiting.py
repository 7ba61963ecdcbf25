"""Waits and time limits for tests, safe on a machine that is slow or busy.

A test that compares seconds by the clock with a limit near the usual duration fails where other
processes want the cores. So a wait has a limit that only a failure reaches (`eventually`); work
is measured in processor seconds (`cpu_limit`); and what must not be waited for takes so long that
its absence shows on every machine (`sooner_than`).
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import Callable, Iterator

PATIENCE_S = 60.0
"""Longest wait for what usually takes less than a few seconds."""


def eventually(check: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """Wait until `check` is true."""
    until = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until, f"not within {within_s} s"
        time.sleep(0.01)


async def eventually_true(
    check: Callable[[], object], *, within_s: float = PATIENCE_S
) -> None:
    """Wait until `check` is true, while other tasks run."""
    until = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until, f"not within {within_s} s"
        await asyncio.sleep(0.01)


@contextlib.contextmanager
def sooner_than(seconds: float) -> Iterator[None]:
    """Assert that the block ends before what it must not wait for, which takes `seconds`.

    `seconds` is at least 10: blocks usually take less than a fifth of it, on a busy machine too.
    """
    assert seconds >= 10, "make what is not waited for longer"
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    assert took_s < 0.9 * seconds, f"took {took_s:.1f} s: it waited"


def cpu_s() -> float:
    """Return the processor seconds of this process and its ended children."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(
            resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
    )


@contextlib.contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Assert that the block takes less than `seconds` of processor time, children included.

    The limit is four times the usual at least: processors differ, and share their caches.
    """
    before = cpu_s()
    yield
    used_s = cpu_s() - before
    assert used_s < seconds, f"took {used_s:.1f} s of processor time"
