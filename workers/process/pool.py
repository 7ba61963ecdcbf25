"""Executor `process`, the embedded default: a few warm children wait, each runs one attempt and is replaced.

Lives on the dispatcher's event loop and imports no solver. A child that dies, hangs or is paused hurts its own job only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from search import checkpoint
from trimtab.results import EventType, Limit, Reason, Termination
from workers.process import frames
from workers.process.finishing import FinishingExecution
from workers.process.process_tree import owner_of, started_at
from workers.process.sandbox import (
    ChildProcess,
    Level,
    Protection,
    choose_level,
    protection,
    start_child,
)
from workers.types import Execution, Outcome, OutcomeStatus, ProducedFile, Progress, Task

LOG_TAIL_BYTES = 16_384
# Signals that the input itself causes, again and again: a second attempt would end the same way.
_OWN_FAULT = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS"})
_PREFIX = "trimtab-run-"
MAX_WAITING = 2_000  # events nobody took yet; a run says some ten a second, and one that floods must not fill our memory
OVERTIME_S = 10.0
LAST_WORDS_S = (
    0.5  # after a child's death: how long what it wrote before may take to be read
)


class ProcessExecutor:
    """`workers` attempts at once; as many warm spares."""

    name = "process"

    def __init__(
        self,
        *,
        workers: int,
        scratch_dir: Path,
        sandbox: str = "auto",
        preload: Sequence[str] = (),
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers wants a number >= 1; {workers} came")
        self._workers = workers
        self._scratch_dir = scratch_dir
        self._asked = sandbox
        self._preload = tuple(preload)
        self._level = Level.RLIMIT
        self._why_level = ""
        self._protection = Protection(files=False, network=False)
        self._spares: deque[asyncio.Task[ChildProcess]] = deque()
        self._coming_up: set[ChildProcess] = set()
        self._starts: set[asyncio.Task[ChildProcess]] = (
            set()
        )  # of spares, also those that a job waits for already
        self._running: set[FinishingExecution] = set()
        self._closed = False

    @property
    def capacity(self) -> int:
        """Attempts at once."""
        return self._workers

    async def open(self) -> None:
        """Choose the sandbox, remove what a killed host left, start the spares. Raises SandboxUnavailable."""
        self._level, self._why_level = await asyncio.to_thread(choose_level, self._asked)
        self._protection = await asyncio.to_thread(protection, self._level)
        self._scratch_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(_remove_leftovers, self._scratch_dir)
        self._refill()

    async def start(self, task: Task) -> Execution:
        """Hand the task to a warm child. When that dies with a solution in hand, another one finishes it."""
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
        run = ProcessExecution(task, await self._warm_child())
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
        # A start that is cancelled in the middle leaves a process half known to the event loop, which it then complains
        # of at its own end. So starts are let come to a process, whose death ends them at once.
        for child in self._coming_up:
            child.kill()
        for spare in await asyncio.gather(
            *{*self._spares, *self._starts}, return_exceptions=True
        ):
            if isinstance(spare, ChildProcess):
                await _discard(spare)
        self._spares.clear()
        for execution in executions:
            await (
                execution.ended()
            )  # a finishing run that was being started is killed as well

    def describe(self) -> Mapping[str, Any]:
        """Level, capacity and what runs."""
        return {
            "executor": self.name,
            "capacity": self._workers,
            "running": len(self._running),
            "spares": sum(
                t.done() and not t.cancelled() and t.exception() is None
                for t in self._spares
            ),
            "sandbox": self._level.value,
            "sandbox_reason": self._why_level,
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
        # The name says whose it is, so that another host on the same folder leaves it alone.
        owner = f"{_PREFIX}{os.getpid()}-{started_at(os.getpid())}-"
        workdir = Path(tempfile.mkdtemp(prefix=owner, dir=self._scratch_dir))
        try:
            child = await start_child(workdir, level=self._level, preload=self._preload)
        except BaseException:
            shutil.rmtree(workdir, ignore_errors=True)
            raise
        self._coming_up.add(child)
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
            self._coming_up.discard(child)
        return child

    async def _warm_child(self) -> ChildProcess:
        while True:
            if not self._spares:
                self._refill()
            spare = self._spares.popleft()
            try:
                child = await asyncio.shield(spare)
            except asyncio.CancelledError:
                self._spares.appendleft(spare)  # somebody else's, or close()'s
                raise
            if not child.exited.is_set() and not child.reader.at_eof():
                return child
            await _discard(child)  # it was killed while it waited: its job is nobody's


class ProcessExecution:
    """One attempt in one child."""

    def __init__(self, task: Task, child: ChildProcess) -> None:
        self._task = task
        self._child = child
        self._queue: asyncio.Queue[Progress | None] = asyncio.Queue()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._heard = time.monotonic()
        self._began = time.monotonic()
        self._phase = "start"
        self._cancelled = False
        self._stopped = False
        self._log = deque[bytes]()
        self._log_size = 0
        self._background: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._over_time = False
        self._last: frames.Frame | None = None  # how the child says it ended

    async def begin(self) -> None:
        """Copy the inputs into the run folder and send the task."""
        self._output = asyncio.create_task(self._collect_output())
        self._background = [self._output, asyncio.create_task(self._guard_time())]
        try:
            inputs = await asyncio.to_thread(self._copy_inputs)
            start = await asyncio.to_thread(self._write_start)
        except OSError as error:
            self._child.kill()
            self._settle(
                OutcomeStatus.TRANSIENT,
                Reason.WORKER_LOST,
                f"the inputs could not be copied: {error}",
            )
            self._background.append(asyncio.create_task(self._reap()))
            return
        task = self._task
        limits = task.limits
        frame = {
            "type": "task",
            "job_id": task.job_id,
            "kind": task.kind,
            "builder": task.builder,
            "spec_class": task.spec_class,
            "spec": dict(task.spec),
            "seed": task.seed,
            "budget": dict(task.budget),
            "inputs": inputs,
            "start": start,
            "finish": None
            if task.finish is None
            else {
                "ended": task.finish.ended.model_dump(mode="json"),
                "decorate": task.finish.decorate,
            },
            "limits": {
                "memory_bytes": limits.memory_bytes,
                "file_bytes": limits.file_bytes,
                "cpu_s": limits.cpu_s,
            },
        }
        with contextlib.suppress(ConnectionError):
            self._child.writer.write(frames.pack(frame))
            await self._child.writer.drain()
        self._background.append(asyncio.create_task(self._listen()))

    def _copy_inputs(self) -> dict[str, str]:
        # A copy and not a link: the run folder is the child's to write in, the blob is everybody's.
        folder = self._child.workdir / "inputs"
        folder.mkdir()
        inputs = {}
        for name, source in self._task.inputs.items():
            given = Path(self._task.input_names.get(name) or name).name
            target = folder / f"{name}-{given}"[:200]
            shutil.copyfile(source, target)
            inputs[name] = str(target)
        return inputs

    def _write_start(self) -> str | None:
        if self._task.start is None:
            return None
        target = self._child.workdir / "start.checkpoint"
        target.write_bytes(self._task.start)
        return str(target)

    async def events(self) -> AsyncIterator[Progress]:
        """What the child says, until it ends."""
        while (item := await self._queue.get()) is not None:
            yield item

    async def result(self) -> Outcome:
        """Wait for the end."""
        return await asyncio.shield(self._outcome)

    @property
    def phase(self) -> str:
        """The newest phase, `start` before the first."""
        return self._phase

    async def checkpoint(self) -> bytes | None:
        """Read the newest checkpoint out of the run folder."""
        return await asyncio.to_thread(
            checkpoint.read, self._child.workdir / checkpoint.FILE_NAME
        )

    @property
    def silent_s(self) -> float:
        """Seconds since the child was last heard."""
        return time.monotonic() - self._heard

    async def stop(self) -> None:
        """Ask for the best; kill after the grace time."""
        if self._stopped or self._outcome.done():
            return
        self._stopped = True
        with contextlib.suppress(ConnectionError):
            self._child.writer.write(frames.pack({"type": "stop"}))
        self._background.append(
            asyncio.create_task(self._kill_later(self._task.limits.grace_s))
        )

    async def cancel(self) -> None:
        """Kill now; returns when nothing of the run is left. `result` and `events` do not wait for that."""
        self._kill_for_owner()
        await self._ended.wait()

    async def abandon(self) -> None:
        """End a run whose start was cancelled: nobody will call `close`."""
        self._kill_for_owner()
        await self._reap()
        await self.close()

    def _kill_for_owner(self) -> None:
        self._child.kill()
        if self._outcome.done():
            return
        self._cancelled = True
        self._settle_death()
        self._queue.put_nowait(None)

    async def close(self) -> None:
        """Kill what is left and remove the run folder."""
        self._child.kill()
        await self._ended.wait()
        await self._child.end()
        # asyncio lets go of a process once its output has ended.
        await asyncio.wait({self._output}, timeout=LAST_WORDS_S)
        for task in self._background:
            task.cancel()
        self._child.writer.close()
        await asyncio.to_thread(shutil.rmtree, self._child.workdir, ignore_errors=True)

    async def _listen(self) -> None:
        talk = asyncio.create_task(self._talk())
        death = asyncio.create_task(self._child.exited.wait())
        await asyncio.wait({talk, death}, return_when=asyncio.FIRST_COMPLETED)
        if not talk.done():
            # Its socket ends with it, unless something it started holds a copy: then we do not wait for that.
            await asyncio.wait({talk}, timeout=LAST_WORDS_S)
        for task in (talk, death):
            task.cancel()
        await self._reap()

    async def _talk(self) -> None:
        try:
            while (frame := await frames.read(self._child.reader)) is not None:
                self._heard = time.monotonic()
                match frame["type"]:
                    case "beat":
                        continue
                    case "phase" | "incumbent" | "log" as name:
                        if not isinstance(frame["data"], dict):
                            raise frames.BadFrame(f"{name!r} without an object as its data")
                        if name == "phase":
                            self._phase = str(frame["data"]["phase"])
                        elapsed_s = float(frame["elapsed_s"])
                        self._tell(
                            Progress(
                                type=EventType(name),
                                data=frame["data"],
                                elapsed_s=elapsed_s,
                            )
                        )
                    case "result" | "failed":
                        self._last = frame
                        return
                    case other:
                        raise frames.BadFrame(f"unknown frame {other!r}")
        except (frames.BadFrame, KeyError, TypeError, ValueError, OSError) as error:
            self._settle_nonsense(error)

    async def _reap(self) -> None:
        await self._child.end()
        # Only now, when nobody is left who could put a link to a file of the host where a checked file was.
        if self._last is not None and not self._cancelled:
            try:
                self._settle_frame(self._last)
            except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
                self._settle_nonsense(error)
        if not self._outcome.done():
            # Its last words explain its death: they are in the pipe, and read by now or in a moment.
            await asyncio.wait({self._output}, timeout=LAST_WORDS_S)
            self._settle_death()
        self._queue.put_nowait(None)
        self._ended.set()

    def _settle_frame(self, frame: frames.Frame) -> None:
        usage = frame.get("usage", {})
        if frame["type"] == "failed":
            termination = Termination.model_validate(frame["termination"], strict=False)
            if frame.get("trace"):
                self._tell(self._log_event(str(frame["trace"])))
            status = (
                OutcomeStatus.TRANSIENT
                if frame.get("transient") is True
                else OutcomeStatus.FAILED
            )
            self._finish(Outcome(status=status, termination=termination, usage=usage))
            return
        produced = []
        root = self._child.workdir.resolve()
        for item in frame.get("produced", []):
            path = (root / str(item["path"])).resolve()
            # The child is not trusted with where its files are: only inside its folder, and only plain files.
            if path.is_relative_to(root) and path.is_file():
                produced.append(
                    ProducedFile(
                        name=item["name"], path=path, media_type=item["media_type"]
                    )
                )
        result = frame["result"]
        termination = Termination.model_validate(result["termination"], strict=False)
        failed = termination.reason is Reason.VERIFICATION_FAILED
        status = OutcomeStatus.FAILED if failed else OutcomeStatus.RESULT
        self._finish(
            Outcome(
                status=status,
                termination=termination,
                result=result,
                produced=tuple(produced),
                usage=usage,
            )
        )

    def _settle_death(self) -> None:
        if self._cancelled:
            self._settle(
                OutcomeStatus.CANCELLED, Reason.CANCELLED, "cancelled by its owner"
            )
            return
        death = self._child.death()
        tail = self._log_text()
        if tail:
            self._tell(self._log_event(tail))
        if death is not None and death.name in _OWN_FAULT:
            what = (
                Reason.INPUT_CRASHED_PARSER
                if self._phase in ("start", "parse")
                else Reason.NUMERICAL_ERROR
            )
            detail = f"the run died by {death.name} in phase {self._phase}; the same input would do so again"
            self._settle(OutcomeStatus.FAILED, what, detail)
        elif death is not None and death.name == "SIGXCPU":
            detail = f"used up its processor time in phase {self._phase}"
            self._settle(
                OutcomeStatus.FAILED, Reason.RESOURCE_EXHAUSTED, detail, Limit.TIME
            )
        elif self._over_time:
            seconds = float(self._task.budget["seconds"])
            detail = f"did not end within its {seconds:g} s and was killed in phase {self._phase}"
            self._settle(
                OutcomeStatus.FAILED, Reason.RESOURCE_EXHAUSTED, detail, Limit.TIME
            )
        else:
            how = (
                f"by {death.name}"
                if death
                else f"with code {self._child.process.returncode}"
            )
            detail = f"the worker's child ended {how} in phase {self._phase}"
            self._settle(OutcomeStatus.LOST, Reason.WORKER_LOST, detail)

    def _settle(
        self, status: OutcomeStatus, reason: Reason, detail: str, limit: Limit | None = None
    ) -> None:
        usage = {"wall_s": time.monotonic() - self._began}
        termination = Termination(reason=reason, limit=limit, detail=detail)
        self._finish(Outcome(status=status, termination=termination, usage=usage))

    def _settle_nonsense(self, error: Exception) -> None:
        self._settle(
            OutcomeStatus.FAILED,
            Reason.INTERNAL_ERROR,
            f"the child spoke nonsense: {error}"[:2000],
        )

    def _tell(self, progress: Progress) -> None:
        if self._queue.qsize() >= MAX_WAITING:
            self._queue.get_nowait()  # the oldest: a newer incumbent says all that an older one did
        self._queue.put_nowait(progress)

    def _finish(self, outcome: Outcome) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def _kill_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._child.kill()

    async def _guard_time(self) -> None:
        # The run ends itself at its budget. Reading, checking and writing get as much again as grace, and then some.
        # A finishing run's budget is its allowance: it gets no more.
        budget = float(self._task.budget["seconds"])
        overtime_s = self._task.limits.grace_s + max(OVERTIME_S, 0.25 * budget)
        await asyncio.sleep(budget + (0.0 if self._task.finish is not None else overtime_s))
        self._over_time = True
        self._child.kill()

    async def _collect_output(self) -> None:
        stream = self._child.process.stdout
        while stream is not None and (chunk := await stream.read(65_536)):
            self._log.append(chunk[-LOG_TAIL_BYTES:])
            self._log_size += len(self._log[-1])
            while self._log_size > LOG_TAIL_BYTES and len(self._log) > 1:
                self._log_size -= len(self._log.popleft())

    def _log_text(self) -> str:
        return (
            b"".join(self._log)[-LOG_TAIL_BYTES:]
            .decode(errors="replace")
            .replace("\x00", "\ufffd")
            .strip()
        )

    def _log_event(self, text: str) -> Progress:
        elapsed = time.monotonic() - self._began
        return Progress(
            type=EventType.LOG,
            data={"level": "error", "message": text[-8000:]},
            elapsed_s=elapsed,
        )


def _remove_leftovers(scratch_dir: Path) -> None:
    """Run folders whose host is dead. Its children died with it (`die_with_parent`)."""
    for left in scratch_dir.glob(_PREFIX + "*"):
        owner = owner_of(left.name, _PREFIX)
        if owner is None or started_at(owner[0]) != owner[1]:
            shutil.rmtree(left, ignore_errors=True)


async def _tail(child: ChildProcess) -> str:
    stream = child.process.stdout
    data = await stream.read(LOG_TAIL_BYTES) if stream is not None else b""
    return data.decode(errors="replace")


async def _discard(child: ChildProcess) -> None:
    await child.end()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            while await _tail(
                child
            ):  # asyncio lets go of a process once its output has ended
                pass
    child.writer.close()
    await asyncio.to_thread(shutil.rmtree, child.workdir, ignore_errors=True)
