"""Hand-written pairs of functions of the blocking and the asyncio client.

`aio.py` and `_connection_aio.py` are written by hand, and `deploy/tools/unasync.py` generates
`client.py` and `_connection.py` from them by removing `async` and `await`. Whatever cannot be
translated like that has a pair of functions here, named `x` and `ax`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_futures
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from trimtab import _submission
from trimtab.results import SOLUTION_FILE, RunResult
from trimtab.solution import Variables


class _Waits(Protocol):
    def wait(self) -> Any: ...


class _AsyncWaits(Protocol):
    async def wait(self) -> Any: ...


S = TypeVar("S")
J = TypeVar("J", bound=_Waits)
A = TypeVar("A", bound=_AsyncWaits)


def sleep(seconds: float) -> None:
    """Block this thread."""
    time.sleep(seconds)


async def asleep(seconds: float) -> None:
    """Let other tasks run meanwhile."""
    await asyncio.sleep(seconds)


def read_bytes(path: Path) -> bytes:
    """Read a file."""
    return path.read_bytes()


async def aread_bytes(path: Path) -> bytes:
    """Read a file in a thread."""
    return await asyncio.to_thread(path.read_bytes)


def with_values(
    result: RunResult, variables: Variables | None, fetch: Callable[[], bytes]
) -> RunResult:
    """Attach the user's variables; the solution is fetched when the first value is read."""
    return _submission.with_values(result, variables, fetch)


async def awith_values(
    result: RunResult, variables: Variables | None, fetch: Callable[[], Awaitable[bytes]]
) -> RunResult:
    """Attach the user's variables; the solution is fetched now, so that reading needs no await."""
    if variables is None or SOLUTION_FILE not in result.artifacts:
        return result
    solution = await fetch()
    return _submission.with_values(result, variables, lambda: solution)


def run_all(
    submit: Callable[[Sequence[S]], list[J]],
    specs: Iterable[S],
    *,
    concurrency: int,
    batch: int,
    as_completed: bool,
) -> Iterator[J]:
    """Submit in batches, at most `concurrency` unfinished, and yield ended jobs; see `Client.map`.

    A thread waits for each job.
    """
    _check_sizes(concurrency, batch)
    source = iter(specs)
    running: deque[Future[J]] = deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="trimtab-map") as pool:
        while True:
            free = concurrency - sum(not future.done() for future in running)
            chunk = list(islice(source, min(batch, free))) if free > 0 else []
            if chunk:
                running.extend(pool.submit(_waited, job) for job in submit(chunk))
                continue
            if not running:
                return
            wait_futures(running, return_when=FIRST_COMPLETED)
            if as_completed:
                for future in [future for future in running if future.done()]:
                    running.remove(future)
                    yield future.result()
            else:
                yield running.popleft().result()


async def arun_all(
    submit: Callable[[Sequence[S]], Awaitable[list[A]]],
    specs: Iterable[S],
    *,
    concurrency: int,
    batch: int,
    as_completed: bool,
) -> AsyncIterator[A]:
    """Submit in batches like `run_all`; an asyncio task waits for each job."""
    _check_sizes(concurrency, batch)
    source = iter(specs)
    running: list[asyncio.Task[A]] = []
    try:
        while True:
            free = concurrency - sum(not task.done() for task in running)
            chunk = list(islice(source, min(batch, max(0, free))))
            if chunk:
                jobs = await submit(chunk)
                running.extend(asyncio.create_task(_awaited(job)) for job in jobs)
                continue
            if not running:
                return
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            ended = (
                [task for task in running if task.done()] if as_completed else running[:1]
            )
            for task in ended:
                running.remove(task)
                yield await task
    finally:
        for task in running:
            task.cancel()


def _check_sizes(concurrency: int, batch: int) -> None:
    for name, value in (("concurrency", concurrency), ("batch", batch)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")


def _waited(job: J) -> J:
    job.wait()
    return job


async def _awaited(job: A) -> A:
    await job.wait()
    return job
