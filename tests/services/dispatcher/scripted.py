"""An executor scripted by the test, and a rig that puts a dispatcher around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from search.kinds import KINDS
from services.bus import QUEUE, Bus
from services.dispatcher.loop import Dispatcher
from services.settings import Settings
from services.store.blobs import BlobStore
from services.store.types import JobRecord, JobStore, NewJob
from tests.doubles.memory_store import MemoryStore
from trimtab.results import EventType, JobState, Reason, Termination
from workers.types import Execution, Outcome, OutcomeStatus, ProducedFile, Progress, Task

RESULT = {
    "objective": 1.0,
    "bound": 0.0,
    "gap": 1.0,
    "termination": {"reason": "completed"},
}


def outcome(
    status: OutcomeStatus, reason: Reason = Reason.COMPLETED, **more: Any
) -> Outcome:
    result = RESULT if status is OutcomeStatus.RESULT else None
    return Outcome(
        status=status, termination=Termination(reason=reason), result=result, **more
    )


class ScriptedExecution:
    """A run that ends when the test, `stop` or `cancel` ends it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.silent_s = 0.0
        self.calls: list[str] = []
        self.closed = False
        self.best: bytes | None = None
        self._queue: asyncio.Queue[Progress | None] = asyncio.Queue()
        self._outcome: asyncio.Future[Outcome] = (
            asyncio.get_running_loop().create_future()
        )

    def say(self, objective: float) -> None:
        data = {"elapsed_s": 0.1, "objective": objective}
        self._queue.put_nowait(
            Progress(type=EventType.INCUMBENT, data=data, elapsed_s=0.1)
        )

    def end(self, status: OutcomeStatus, **more: Any) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome(status, **more))
            self._queue.put_nowait(None)

    async def events(self) -> AsyncIterator[Progress]:
        while (item := await self._queue.get()) is not None:
            yield item

    async def result(self) -> Outcome:
        return await asyncio.shield(self._outcome)

    async def stop(self) -> None:
        self.calls.append("stop")
        self.end(OutcomeStatus.RESULT)

    async def checkpoint(self) -> bytes | None:
        return self.best

    async def cancel(self) -> None:
        self.calls.append("cancel")
        self.end(OutcomeStatus.CANCELLED)

    async def close(self) -> None:
        self.closed = True


class ScriptedExecutor:
    """An executor that hands each started run to the test."""

    name = "scripted"

    def __init__(self, capacity: int = 2) -> None:
        self.capacity = capacity
        self.started: asyncio.Queue[ScriptedExecution] = asyncio.Queue()
        self.fail_start: Exception | None = None

    async def open(self) -> None:
        pass

    async def start(self, task: Task) -> Execution:
        if self.fail_start is not None:
            raise self.fail_start
        execution = ScriptedExecution(task)
        self.started.put_nowait(execution)
        return execution

    async def close(self) -> None:
        pass

    def describe(self) -> Mapping[str, Any]:
        return {"executor": self.name}


class Rig:
    """One dispatcher, its store and its executor."""

    def __init__(
        self, store: JobStore, executor: Any, folder: Path, **settings: Any
    ) -> None:
        self.store, self.executor, self.bus = store, executor, Bus()
        self.blobs = BlobStore(folder / "blobs")
        values = {"lease_s": 30.0, "heartbeat_s": 0.05, "sweep_s": 0.05} | settings
        self.dispatcher = Dispatcher(
            store=store,
            executor=executor,
            blobs=self.blobs,
            bus=self.bus,
            kinds=KINDS,
            settings=Settings(data_dir=folder, **values),
            seed=0,
        )

    async def submit(self, spec: Mapping[str, Any] | None = None, **more: Any) -> str:
        values: dict[str, Any] = {"budget": {"seconds": 60.0}, "seed": 0} | more
        job = NewJob(tenant="a", kind="probe", spec=spec or {"steps": 1}, **values)
        job_id = (await self.store.submit(job)).job.id
        self.bus.notify(QUEUE)
        return job_id

    async def begun(self) -> ScriptedExecution:
        async with asyncio.timeout(60):
            execution = await self.executor.started.get()
            assert isinstance(execution, ScriptedExecution)
            return execution

    async def until(
        self, job_id: str, holds: Callable[[JobRecord], bool], timeout_s: float = 60.0
    ) -> JobRecord:
        """Wait on the bus, as the gateway does, with a short poll for changes that time causes."""
        async with asyncio.timeout(timeout_s):
            with self.bus.listen(job_id) as changed:
                while True:
                    changed.clear()
                    job = await self.store.get(job_id)
                    if holds(job):
                        return job
                    try:
                        async with asyncio.timeout(0.05):
                            await changed.wait()
                    except TimeoutError:
                        pass

    async def ended(self, job_id: str, timeout_s: float = 60.0) -> JobRecord:
        return await self.until(job_id, lambda job: job.state.is_terminal, timeout_s)

    async def requeued(self, job_id: str) -> JobRecord:
        return await self.until(job_id, lambda job: job.state is JobState.QUEUED)


@asynccontextmanager
async def rig(
    folder: Path, *, store: JobStore | None = None, **settings: Any
) -> AsyncIterator[Rig]:
    """Run a dispatcher on a memory store; close it at the end."""
    made = Rig(store or MemoryStore(), ScriptedExecutor(), folder, **settings)
    await made.dispatcher.start()
    try:
        yield made
    finally:
        await made.dispatcher.close()


def produced(path: Path) -> tuple[ProducedFile, ...]:
    return (ProducedFile(name=path.name, path=path, media_type="text/plain"),)
