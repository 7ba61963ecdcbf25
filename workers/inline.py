"""Executor `inline`, for tests: the pipeline in a thread of this process, without protection."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from search import checkpoint
from search.conclude import Finished
from trimtab.results import EventType, Incumbent, Reason, Termination
from workers.failures import failure_of
from workers.process.finishing import finished_outcome, finishing_task
from workers.process.reporter import Reporter
from workers.process.run_task import run_task
from workers.progress import ProgressQueue
from workers.types import Execution, Outcome, OutcomeStatus, ProducedFile, Progress, Task


class InlineExecutor:
    """Runs one attempt at a time, in a thread."""

    name = "inline"
    capacity = 1

    def __init__(self, *, scratch_dir: Path) -> None:
        self._scratch_dir = scratch_dir
        self._running: set[InlineExecution] = set()

    async def open(self) -> None:
        """Make the scratch folder."""
        self._scratch_dir.mkdir(parents=True, exist_ok=True)

    async def start(self, task: Task) -> Execution:
        """Begin an attempt in a thread."""
        workdir = Path(tempfile.mkdtemp(prefix="trimtab-run-", dir=self._scratch_dir))
        execution = InlineExecution(task, workdir)
        self._running.add(execution)
        execution.begin(self._running.discard)
        return execution

    async def close(self) -> None:
        """Stop every run and wait for its end."""
        for execution in list(self._running):
            await execution.cancel()

    def describe(self) -> Mapping[str, Any]:
        """Return the number of runs; there is no sandbox."""
        return {
            "executor": self.name,
            "capacity": self.capacity,
            "running": len(self._running),
            "sandbox": "none",
            "protects": {"files": False, "network": False},
            "sandbox_gaps": "executor 'inline' runs jobs in the server's own process, for tests: "
            "serve one tenant with it",
        }


class InlineExecution:
    """A run in a thread. It can be stopped, but not killed."""

    def __init__(
        self, task: Task, workdir: Path, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._task = task
        self._workdir = workdir
        self._stop = threading.Event()
        self._cancelled = False
        self._began = time.monotonic()
        self._loop = loop or asyncio.get_running_loop()
        self._progress = ProgressQueue()
        self._done: asyncio.Task[Outcome] | None = None

    def begin(self, on_end: Any) -> None:
        """Start the thread."""

        async def whole() -> Outcome:
            outcome = await asyncio.to_thread(self._run)
            self._progress.end()
            on_end(self)
            return outcome

        self._done = asyncio.create_task(whole())

    def events(self) -> AsyncIterator[Progress]:
        """Yield the run's events."""
        return self._progress.events()

    async def result(self) -> Outcome:
        """Wait for the end."""
        if self._done is None:
            raise RuntimeError("begin() was not called")
        outcome = await asyncio.shield(self._done)
        if self._cancelled:
            termination = Termination(
                reason=Reason.CANCELLED, detail="cancelled by its owner"
            )
            return Outcome(
                status=OutcomeStatus.CANCELLED,
                termination=termination,
                usage=outcome.usage,
            )
        return outcome

    async def checkpoint(self) -> bytes | None:
        """Read the newest checkpoint out of the run folder."""
        return checkpoint.read(self._workdir / checkpoint.FILE_NAME)

    @property
    def silent_s(self) -> float:
        """Zero: a thread of this process cannot be lost."""
        return 0.0

    async def stop(self) -> None:
        """Ask for the best solution."""
        self._stop.set()

    async def cancel(self) -> None:
        """Stop the run and discard its result."""
        self._cancelled = True
        self._stop.set()
        await self.result()

    async def close(self) -> None:
        """Remove the run folder."""
        await asyncio.to_thread(shutil.rmtree, self._workdir, ignore_errors=True)

    def _publish(self, kind: EventType, data: Mapping[str, Any]) -> None:
        progress = Progress(
            type=kind, data=data, elapsed_s=time.monotonic() - self._began
        )
        self._loop.call_soon_threadsafe(self._progress.put, progress)

    def _run(self) -> Outcome:
        task = self._task
        phase = "start"

        def on_incumbent(incumbent: Incumbent) -> None:
            self._publish(EventType.INCUMBENT, incumbent.model_dump(mode="json"))

        def on_phase(name: str, detail: str) -> None:
            nonlocal phase
            phase = name
            reporter.flush()
            self._publish(EventType.PHASE, {"phase": name, "detail": detail})

        reporter = Reporter(on_incumbent, workdir=self._workdir)
        try:
            finished = run_task(
                task,
                self._workdir,
                stop_event=self._stop,
                reporter=reporter,
                on_phase=on_phase,
            )
        except Exception as error:  # a fault of the run must not end the dispatcher
            reporter.close()
            failure = failure_of(
                error, phase=phase, memory_bytes=task.limits.memory_bytes
            )
            status = (
                OutcomeStatus.TRANSIENT if failure.transient else OutcomeStatus.FAILED
            )
            return self._salvaged(
                Outcome(status=status, termination=failure.termination), phase
            )
        finally:
            reporter.close()
        return self._outcome(finished)

    def _salvaged(self, outcome: Outcome, phase: str) -> Outcome:
        """Return the finished best solution of a run that failed, or the failure."""
        data = checkpoint.read(self._workdir / checkpoint.FILE_NAME)
        task = finishing_task(self._task, outcome, data, phase=phase, stopped=False)
        if task is None or self._cancelled:
            return outcome
        second = InlineExecution(task, self._workdir, loop=self._loop)
        return finished_outcome(outcome, second._run())

    def _outcome(self, finished: Finished) -> Outcome:
        result = finished.result
        if finished.rest is not None:
            return Outcome(
                status=OutcomeStatus.RESTED,
                termination=result.termination,
                rest=finished.rest,
                usage={"wall_s": time.monotonic() - self._began},
            )
        refused = result.termination.reason is Reason.VERIFICATION_FAILED
        return Outcome(
            status=OutcomeStatus.FAILED if refused else OutcomeStatus.RESULT,
            termination=result.termination,
            result=result.model_dump(mode="json"),
            produced=tuple(
                ProducedFile(name=p.name, path=p.path, media_type=p.media_type)
                for p in finished.produced
            ),
            usage={"wall_s": time.monotonic() - self._began},
        )
