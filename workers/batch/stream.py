"""Jobs over standard input and output, for a program that runs them as its own child.

    ← {"type": "ready"}
    → {"type": "run", "folder": "/where/relative/paths/begin", "files": "/where/files/go",
       "job": {"id": "a", "kind": "ilp", "spec": {"model_path": "m.mps"}, "budget": {...}}}
    ← {"type": "event", "event": "incumbent", "data": {...}, "elapsed_s": 0.4}
    → {"type": "incumbent"}                ← {"type": "values", "view": {...}}, null: none yet
    → {"type": "stop"}                     keep the best solution; or {"type": "cancel"}
    ← {"type": "done", "record": {...}}    a record as of `workers.batch.run`

One job at a time. The end of standard input ends a running job and the process, so nothing outlives
the program that asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from search import checkpoint
from workers.batch.jobs import MAX_LINE_BYTES, BatchJob, parse_line
from workers.batch.journal import Json
from workers.batch.run import RunContext, run_job
from workers.types import Execution, Executor, Progress, TaskLimits

Send = Callable[[Json], None]


@dataclass(kw_only=True)
class _Run:
    """The running job, as far as messages of the parent concern it."""

    task: asyncio.Task[Json] | None = None
    execution: Execution | None = None
    stopped: bool = False
    pending: set[asyncio.Task[None]] = field(default_factory=set)

    def began(self, execution: Execution) -> None:
        self.execution = execution
        if self.stopped:
            self.stop()

    def stop(self) -> None:
        """End the job with its best solution, also when its process is still being started."""
        self.stopped = True
        if self.execution is not None:
            ending = asyncio.ensure_future(self.execution.stop())
            self.pending.add(ending)
            ending.add_done_callback(self.pending.discard)

    async def incumbent(self) -> Any:
        """Return the newest incumbent as its owner reads it; None while there is none."""
        stored = None if self.execution is None else await self.execution.checkpoint()
        try:
            view = b"" if stored is None else checkpoint.unpack(stored, kind="ilp").view
            return json.loads(view) if view else None
        except (checkpoint.BadCheckpoint, ValueError):
            return None

    def cancel(self) -> None:
        """End the job and discard its solution."""
        if self.task is not None:
            self.task.cancel()


async def serve(
    executor: Executor, limits: TaskLimits, *, source: BinaryIO, send: Send
) -> None:
    """Run the jobs that come in `source` until it ends. `executor` is open."""
    messages: asyncio.Queue[Json | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    reader = threading.Thread(
        target=_read, args=(source, loop, messages.put_nowait), daemon=True
    )
    reader.start()
    send({"type": "ready"})
    run = _Run()
    while (message := await messages.get()) is not None:
        match message.get("type"):
            case "run" if run.task is None or run.task.done():
                run = _Run()
                run.task = asyncio.create_task(_run(executor, limits, message, run, send))
                # A task that is cancelled before its first step sends no record.
                await asyncio.sleep(0)
            case "stop":
                run.stop()
            case "incumbent":
                send({"type": "values", "view": await run.incumbent()})
            case "cancel":
                run.cancel()
            case other:
                send({"type": "fault", "detail": _unexpected(other)})
    run.cancel()
    if run.task is not None:
        await asyncio.wait({run.task})


def _unexpected(word: Any) -> str:
    return (
        "type: expected run (while no job runs), incumbent, stop or cancel, got "
        f"{str(word)[:60]!r}"
    )


async def _run(
    executor: Executor, limits: TaskLimits, message: Json, run: _Run, send: Send
) -> Json:
    """Run one job and send its events and its record, whatever happens to it."""
    try:
        job = await asyncio.to_thread(_job, message)
        files = message.get("files")
        context = RunContext(
            executor=executor,
            limits=limits,
            files_dir=Path(files) if isinstance(files, str) else None,
            on_start=run.began,
            on_event=lambda progress: send(_event(progress)),
        )
        record = await run_job(context, job, random.Random())
    except asyncio.CancelledError:
        record = {"state": "CANCELLED", "result": None}
    except Exception as error:  # the parent waits for a record of every job
        ended = {"reason": "internal_error", "detail": f"{type(error).__name__}: {error}"}
        record = {"state": "DEAD", "termination": ended, "result": None}
    send({"type": "done", "record": record})
    return record


def _job(message: Json) -> BatchJob:
    line = json.dumps(message.get("job")).encode()
    return parse_line(1, line, folder=Path(str(message.get("folder") or ".")))


def _event(progress: Progress) -> Json:
    return {
        "type": "event",
        "event": progress.type.value,
        "data": dict(progress.data),
        "elapsed_s": progress.elapsed_s,
    }


def _read(
    source: BinaryIO,
    loop: asyncio.AbstractEventLoop,
    put: Callable[[Json | None], None],
) -> None:
    """Pass on the messages of a pipe, from a thread, because a pipe may block."""
    while line := source.readline(MAX_LINE_BYTES):
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        loop.call_soon_threadsafe(put, message if isinstance(message, dict) else {})
    loop.call_soon_threadsafe(put, None)


def own_streams() -> tuple[BinaryIO, Send]:
    """Return this process's pipes; what else prints on standard output goes to standard error."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(message: Json) -> None:
        target.write(json.dumps(message).encode() + b"\n")
        target.flush()

    return sys.stdin.buffer, send
