"""Executor `process`, the default: warm children wait, each runs one attempt and is replaced.

A warm child has imported the modules of the kinds that ran last, not of every kind: all of them
together cost several times the processor time of one.

Lives on the dispatcher's event loop and imports no solver. A child that dies, hangs or is paused
affects its own job only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.process import frames
from workers.process.execution import DRAIN_S, ProcessExecution
from workers.process.finishing import FinishingExecution
from workers.process.output_tail import TAIL_BYTES
from workers.process.process_tree import owner_of, started_at
from workers.process.sandbox import (
    ChildProcess,
    Level,
    Protection,
    choose_level,
    protection,
    run_program,
    start_child,
)
from workers.types import Execution, Task, TextBackend

_PREFIX = "trimtab-run-"
_RECENT_RUNS = 16  # whose modules the next warm child imports


class ProcessExecutor:
    """Runs `workers` attempts at once and has as many warm spares.

    The first spares import `preload`, later ones the modules of the last runs. Calls of runs to a
    language model go to `text`.
    """

    name = "process"

    def __init__(
        self,
        *,
        workers: int,
        scratch_dir: Path,
        sandbox: str = "auto",
        preload: Sequence[str] = (),
        text: TextBackend | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers: expected at least 1, got {workers}")
        self._workers = workers
        self._scratch_dir = scratch_dir
        self._sandbox = sandbox
        self._recent = deque(preload, maxlen=_RECENT_RUNS)
        self._text = text
        self._level = Level.RLIMIT
        self._level_reason = ""
        self._protection = Protection(files=False, network=False)
        self._spares: deque[asyncio.Task[ChildProcess]] = deque()
        self._starting: set[ChildProcess] = set()
        # Starts of spares, including those that a job already waits for.
        self._starts: set[asyncio.Task[ChildProcess]] = set()
        self._running: set[FinishingExecution] = set()
        self._closed = False

    @property
    def capacity(self) -> int:
        """Attempts at once."""
        return self._workers

    async def open(self) -> None:
        """Choose the sandbox, remove what a killed host left, start the spares.

        Raises SandboxUnavailable.
        """
        self._level, self._level_reason = await asyncio.to_thread(
            choose_level, self._sandbox
        )
        self._protection = await asyncio.to_thread(protection, self._level)
        self._scratch_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(_remove_leftovers, self._scratch_dir)
        self._refill()

    async def start(self, task: Task) -> Execution:
        """Hand the task to a warm child.

        When that one dies and has a checkpoint, another child finishes its solution.
        """
        execution = FinishingExecution(
            task,
            await self._start_run(task),
            again=self._start_run,
            on_end=self._running.discard,
        )
        self._running.add(execution)
        return execution

    async def _start_run(self, task: Task) -> ProcessExecution:
        if self._closed:
            raise RuntimeError("the executor is closed")
        self._recent.append(task.module)
        run = ProcessExecution(task, await self._warm_child(), text=self._text)
        try:
            await run.begin()
        except asyncio.CancelledError:
            await asyncio.shield(run.abandon())
            raise
        self._refill()
        return run

    async def close(self) -> None:
        """Kill every child; none is left when this returns."""
        self._closed = True
        executions = list(self._running)
        for execution in executions:
            await execution.cancel()
        # Cancelling a start leaves a process that the event loop knows only half and complains
        # about at its own end. So let each start get its process; killing that ends it at once.
        for child in self._starting:
            child.kill()
        for spare in await asyncio.gather(
            *{*self._spares, *self._starts}, return_exceptions=True
        ):
            if isinstance(spare, ChildProcess):
                await _discard(spare)
        self._spares.clear()
        for execution in executions:
            # A finishing run that was being started is killed as well.
            await execution.ended()

    def describe(self) -> Mapping[str, Any]:
        """Return sandbox level, capacity and the number of runs."""
        return {
            "executor": self.name,
            "capacity": self._workers,
            "running": len(self._running),
            "spares": sum(
                t.done() and not t.cancelled() and t.exception() is None
                for t in self._spares
            ),
            "sandbox": self._level.value,
            "sandbox_reason": self._level_reason,
            "protects": {
                "files": self._protection.files,
                "network": self._protection.network,
            },
            "sandbox_gaps": self._protection.gaps,
        }

    def _refill(self) -> None:
        while len(self._spares) < self._workers and not self._closed:
            start = asyncio.create_task(self._start_spare())
            self._starts.add(start)
            start.add_done_callback(self._starts.discard)
            self._spares.append(start)

    async def _start_spare(self) -> ChildProcess:
        # The name has the host's pid, so that another host on the same folder leaves it alone.
        owner = f"{_PREFIX}{os.getpid()}-{started_at(os.getpid())}-"
        workdir = Path(tempfile.mkdtemp(prefix=owner, dir=self._scratch_dir))
        try:
            child = await start_child(
                workdir, level=self._level, program=run_program(sorted(set(self._recent)))
            )
        except BaseException:
            shutil.rmtree(workdir, ignore_errors=True)
            raise
        self._starting.add(child)
        if self._closed:
            child.kill()
        try:
            ready = await frames.read(child.reader)
            if ready is None or ready["type"] != "ready":
                output = await _tail(child)
                raise RuntimeError(
                    f"a warm child ended before it was ready: {output[-2000:]}"
                )
        except BaseException:
            await _discard(child)
            raise
        finally:
            self._starting.discard(child)
        return child

    async def _warm_child(self) -> ChildProcess:
        while True:
            if not self._spares:
                self._refill()
            spare = self._spares.popleft()
            try:
                child = await asyncio.shield(spare)
            except asyncio.CancelledError:
                self._spares.appendleft(spare)  # for another job, or for close()
                raise
            if not child.exited.is_set() and not child.reader.at_eof():
                return child
            await _discard(child)  # killed while it waited: no job is lost


def _remove_leftovers(scratch_dir: Path) -> None:
    """Remove run folders of dead hosts; their children died with them (`die_with_parent`)."""
    for folder in scratch_dir.glob(_PREFIX + "*"):
        owner = owner_of(folder.name, _PREFIX)
        if owner is None or started_at(owner[0]) != owner[1]:
            shutil.rmtree(folder, ignore_errors=True)


async def _tail(child: ChildProcess) -> str:
    stream = child.process.stdout
    data = await stream.read(TAIL_BYTES) if stream is not None else b""
    return data.decode(errors="replace")


async def _discard(child: ChildProcess) -> None:
    await child.end()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            # asyncio releases a process once its output has ended.
            while await _tail(child):
                pass
    child.writer.close()
    await asyncio.to_thread(shutil.rmtree, child.workdir, ignore_errors=True)
