"""One attempt in one child process: copy its inputs, relay its events, explain its end."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from search import checkpoint
from trimtab.pictures import read_pictures
from trimtab.results import PRINTED, EventType, Limit, Reason, Termination
from workers.llm.calls import TextRelay
from workers.llm.wire import CALLS
from workers.process import frames, process_tree
from workers.process.output_log import OutputLog
from workers.process.output_tail import OutputTail
from workers.process.sandbox import ChildProcess
from workers.progress import ProgressQueue
from workers.types import (
    Outcome,
    OutcomeStatus,
    ProducedFile,
    Progress,
    Task,
    TextBackend,
)
from workers.wire import rest_from_json, task_to_json

# Signals that the input itself causes: a second attempt would end the same way.
_OWN_FAULT = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS"})
OVERTIME_S = 10.0
"""Seconds beyond budget and grace in which a run reads, verifies and writes."""
MOST_WAITED = 5.0
"""Times its allowance that a finishing run may wait for a processor in all."""
START_S = 60.0
"""Seconds until a run's time is counted even if it has not reported its first phase."""
DRAIN_S = 0.5
"""Seconds to read what a child wrote before its death."""


class ProcessExecution:
    """One attempt in one child."""

    def __init__(
        self, task: Task, child: ChildProcess, *, text: TextBackend | None = None
    ) -> None:
        self._task = task
        self._child = child
        self._text = TextRelay(text, self._send, owner=f"job {task.job_id}")
        self._progress = ProgressQueue()
        self._outcome: asyncio.Future[Outcome] = (
            asyncio.get_running_loop().create_future()
        )
        self._heard = time.monotonic()
        self._began = time.monotonic()
        self._phase = "start"
        self._reading = asyncio.Event()  # the first phase has begun
        self._cancelled = False
        self._stopped = False
        self._tail = OutputTail()
        self._log = OutputLog(self._publish_output)
        self._background: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._over_time = False
        self._last: frames.Frame | None = None  # the child's own report of its end

    async def begin(self) -> None:
        """Copy the inputs into the run folder and send the task."""
        self._output = asyncio.create_task(
            self._tail.collect(self._child.process.stdout, self._log.add)
        )
        self._background = [self._output, asyncio.create_task(self._guard_time())]
        try:
            inputs = await asyncio.to_thread(self._copy_inputs)
            start = await asyncio.to_thread(
                self._write, "start.checkpoint", self._task.start
            )
            content = None if self._task.woken is None else orjson.dumps(self._task.woken)
            woken = await asyncio.to_thread(self._write, "woken.json", content)
        except OSError as error:
            self._child.kill()
            self._settle(
                OutcomeStatus.TRANSIENT,
                Reason.WORKER_LOST,
                f"the inputs could not be copied: {error}",
            )
            self._background.append(asyncio.create_task(self._reap()))
            return
        body = task_to_json(replace(self._task, inputs=inputs, start=None, woken=None))
        frame = {"type": "task", "task": body, "start_file": start, "woken_file": woken}
        with contextlib.suppress(ConnectionError):
            self._child.writer.write(frames.pack(frame))
            await self._child.writer.drain()
        self._background.append(asyncio.create_task(self._listen()))

    def _copy_inputs(self) -> dict[str, Path]:
        # A copy and not a link: the child may write in its run folder; the blob is shared.
        folder = self._child.workdir / "inputs"
        folder.mkdir()
        inputs = {}
        for name, source in self._task.inputs.items():
            own_name = Path(self._task.input_names.get(name) or name).name
            inputs[name] = folder / f"{name}-{own_name}"[:200]
            shutil.copyfile(source, inputs[name])
        return inputs

    def _write(self, name: str, data: bytes | None) -> str | None:
        """Write what may be too large for a frame into the run folder; return its path."""
        if data is None:
            return None
        target = self._child.workdir / name
        target.write_bytes(data)
        return str(target)

    def events(self) -> AsyncIterator[Progress]:
        """Yield the child's events until it ends."""
        return self._progress.events()

    async def result(self) -> Outcome:
        """Wait for the end."""
        return await asyncio.shield(self._outcome)

    @property
    def phase(self) -> str:
        """The newest phase, `start` before the first."""
        return self._phase

    async def checkpoint(self) -> bytes | None:
        """Read the newest checkpoint out of the run folder."""
        path = self._child.workdir / checkpoint.FILE_NAME
        return await asyncio.to_thread(checkpoint.read, path)

    @property
    def silent_s(self) -> float:
        """Seconds since the child's last frame."""
        return time.monotonic() - self._heard

    async def stop(self) -> None:
        """Ask for the best solution; kill after the grace time."""
        if self._stopped or self._outcome.done():
            return
        self._stopped = True
        with contextlib.suppress(ConnectionError):
            self._child.writer.write(frames.pack({"type": "stop"}))
        grace_s = self._task.limits.grace_s
        self._background.append(asyncio.create_task(self._kill_later(grace_s)))

    async def cancel(self) -> None:
        """Kill now; return when no process of the run is left.

        `result` and `events` end at once and do not wait for that.
        """
        self._kill_for_owner()
        await self._ended.wait()

    async def abandon(self) -> None:
        """End a run whose start was cancelled: nobody will call `close`."""
        self._kill_for_owner()
        await self._reap()
        await self.close()

    async def close(self) -> None:
        """Kill what is left and remove the run folder."""
        self._child.kill()
        await self._ended.wait()
        await self._child.end()
        # asyncio releases a process once its output has ended.
        await asyncio.wait({self._output}, timeout=DRAIN_S)
        for task in self._background:
            task.cancel()
        self._child.writer.close()
        await asyncio.to_thread(shutil.rmtree, self._child.workdir, ignore_errors=True)

    def _kill_for_owner(self) -> None:
        self._child.kill()
        if self._outcome.done():
            return
        self._cancelled = True
        self._settle_cancelled()
        self._progress.end()

    def _send(self, frame: frames.Frame) -> None:
        if not self._child.writer.is_closing():
            self._child.writer.write(frames.pack(frame))

    # --- what the child sends

    async def _listen(self) -> None:
        receiving = asyncio.create_task(self._receive())
        death = asyncio.create_task(self._child.exited.wait())
        await asyncio.wait({receiving, death}, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            # The socket closes with the child, unless a process that it started holds a copy:
            # then we do not wait for that one.
            await asyncio.wait({receiving}, timeout=DRAIN_S)
        for task in (receiving, death):
            task.cancel()
        await self._reap()

    async def _receive(self) -> None:
        try:
            while (frame := await frames.read(self._child.reader)) is not None:
                self._heard = time.monotonic()
                match frame["type"]:
                    case "beat":
                        continue
                    case "phase" | "incumbent" | "log":
                        self._receive_event(frame)
                    case "result" | "failed":
                        self._last = frame
                        return
                    case name if name in CALLS:
                        self._text.handle(frame)
                    case other:
                        raise frames.BadFrame(f"unknown frame {other!r}")
        except (frames.BadFrame, KeyError, TypeError, ValueError, OSError) as error:
            self._settle_bad_frame(error)

    def _receive_event(self, frame: frames.Frame) -> None:
        name, data = frame["type"], frame["data"]
        if not isinstance(data, dict):
            raise frames.BadFrame(f"frame {name!r}: expected an object as data")
        if name == "phase":
            self._phase = str(data["phase"])
            self._reading.set()
        data = self._with_sound_pictures(data)
        elapsed_s = float(frame["elapsed_s"])
        self._progress.put(Progress(type=EventType(name), data=data, elapsed_s=elapsed_s))

    def _with_sound_pictures(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the event without its pictures if they are not what a page can draw.

        A hostile input file may control the child.
        """
        if "pictures" not in data:
            return data
        try:
            read_pictures(data["pictures"])
        except ValueError as error:
            self._publish_log(
                f"the pictures of an incumbent were left out: {error}"[:500]
            )
            return {key: value for key, value in data.items() if key != "pictures"}
        return data

    def _publish_log(self, text: str) -> None:
        data = {"level": "error", "message": text[-8000:]}
        elapsed_s = time.monotonic() - self._began
        self._progress.put(Progress(type=EventType.LOG, data=data, elapsed_s=elapsed_s))

    def _publish_output(self, text: str) -> None:
        data = {"level": PRINTED, "message": text}
        elapsed_s = time.monotonic() - self._began
        self._progress.put(Progress(type=EventType.LOG, data=data, elapsed_s=elapsed_s))

    # --- its end

    async def _reap(self) -> None:
        await self._child.end()
        await self._text.close()
        # Read the result only now: while a process of the run lives, it could replace a checked
        # file by a link to a file of the host.
        if self._last is not None and not self._cancelled:
            try:
                self._settle_frame(self._last)
            except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
                self._settle_bad_frame(error)
        if not self._outcome.done():
            # The child's last output explains its death; it is in the pipe by now.
            await asyncio.wait({self._output}, timeout=DRAIN_S)
            self._log.close(discard=True)
            self._settle_death()
        else:
            await asyncio.wait({self._output}, timeout=DRAIN_S)
            self._log.close()
        self._progress.end()
        self._ended.set()

    def _settle_frame(self, frame: frames.Frame) -> None:
        usage = frame.get("usage", {})
        if frame["type"] == "failed":
            if frame.get("trace"):
                self._publish_log(str(frame["trace"]))
            transient = frame.get("transient") is True
            self._finish(
                Outcome(
                    status=OutcomeStatus.TRANSIENT if transient else OutcomeStatus.FAILED,
                    termination=Termination.model_validate(
                        frame["termination"], strict=False
                    ),
                    usage=usage,
                )
            )
            return
        result = frame["result"]
        termination = Termination.model_validate(result["termination"], strict=False)
        if frame["rest"] is not None:
            rest = rest_from_json(frame["rest"])
            status = OutcomeStatus.RESTED
            self._finish(
                Outcome(status=status, termination=termination, rest=rest, usage=usage)
            )
            return
        produced = self._produced(frame)
        failed = termination.reason is Reason.VERIFICATION_FAILED
        self._finish(
            Outcome(
                status=OutcomeStatus.FAILED if failed else OutcomeStatus.RESULT,
                termination=termination,
                result=result,
                produced=produced,
                usage=usage,
            )
        )

    def _produced(self, frame: frames.Frame) -> tuple[ProducedFile, ...]:
        """Return the plain files inside the run folder that the child reports.

        The child is not trusted: a path that leaves its folder is dropped.
        """
        root = self._child.workdir.resolve()
        produced = []
        for described in frame.get("produced", []):
            path = (root / str(described["path"])).resolve()
            if path.is_relative_to(root) and path.is_file():
                name, media_type = described["name"], described["media_type"]
                produced.append(ProducedFile(name=name, path=path, media_type=media_type))
        return tuple(produced)

    def _settle_cancelled(self) -> None:
        self._settle(OutcomeStatus.CANCELLED, Reason.CANCELLED, "cancelled by its owner")

    def _settle_death(self) -> None:
        """Explain the end of a child that sent no result."""
        if self._cancelled:
            self._settle_cancelled()
            return
        death = self._child.death()
        if text := self._tail.text():
            self._publish_log(text)
        if death is not None and death.name in _OWN_FAULT:
            reading = self._phase in ("start", "parse")
            reason = Reason.INPUT_CRASHED_PARSER if reading else Reason.NUMERICAL_ERROR
            detail = (
                f"the run died by {death.name} in phase {self._phase}; "
                "the same input would do so again"
            )
            self._settle(OutcomeStatus.FAILED, reason, detail)
        elif death is not None and death.name == "SIGXCPU":
            self._settle_exhausted(f"used up its processor time in phase {self._phase}")
        elif self._over_time:
            seconds = float(self._task.budget["seconds"])
            self._settle_exhausted(
                f"did not end within its {seconds:g} s and was killed in phase {self._phase}"
            )
        else:
            code = self._child.process.returncode
            how = f"by {death.name}" if death else f"with code {code}"
            detail = f"the worker's child ended {how} in phase {self._phase}"
            self._settle(OutcomeStatus.LOST, Reason.WORKER_LOST, detail)

    def _settle_exhausted(self, detail: str) -> None:
        self._settle(OutcomeStatus.FAILED, Reason.RESOURCE_EXHAUSTED, detail, Limit.TIME)

    def _settle_bad_frame(self, error: Exception) -> None:
        detail = f"the child sent an invalid frame: {error}"[:2000]
        self._settle(OutcomeStatus.FAILED, Reason.INTERNAL_ERROR, detail)

    def _settle(
        self,
        status: OutcomeStatus,
        reason: Reason,
        detail: str,
        limit: Limit | None = None,
    ) -> None:
        usage = {"wall_s": time.monotonic() - self._began}
        termination = Termination(reason=reason, limit=limit, detail=detail)
        self._finish(Outcome(status=status, termination=termination, usage=usage))

    def _finish(self, outcome: Outcome) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def _kill_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._child.kill()

    async def _guard_time(self) -> None:
        # The run ends itself at its budget; reading, verifying and writing take longer. A
        # finishing run's budget is its allowance, of time in which it could run: on a crowded
        # machine it waits for a processor, and the best solution must not be lost by that.
        budget = float(self._task.budget["seconds"])
        if self._task.finish is None:
            overtime_s = self._task.limits.grace_s + max(OVERTIME_S, 0.25 * budget)
            # The budget begins with the first phase, after the child's imports.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reading.wait(), START_S)
            await asyncio.sleep(budget + overtime_s)
        else:
            left_s = budget
            while left_s > 0:
                await asyncio.sleep(left_s)
                waited_s = await asyncio.to_thread(
                    process_tree.waited_s, self._child.workdir
                )
                end_s = budget + min(waited_s, MOST_WAITED * budget)
                left_s = self._began + end_s - time.monotonic()
                left_s = 0.0 if left_s <= 0 else max(left_s, 0.25)
        self._over_time = True
        self._child.kill()
