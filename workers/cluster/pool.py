"""Executor `ray`: attempts run by actors of a Ray cluster, on this machine or on several.

This process does not import Ray: it starts `python -m workers.cluster.host`, which does, and
exchanges frames with it. So no executor brings torch, Ray or a solver into the service's process,
and a crash of Ray leaves the service running.

    RayExecutor ──frames── host ──Ray── RayWorker (an actor per slot) ──frames── child
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from trimtab.results import EventType, Reason, Termination
from workers.cluster.auth import host_environment
from workers.cluster.pool_text import PoolText
from workers.llm.wire import ANSWERS
from workers.process import frames
from workers.process.text_host import TEXT_KEY, TextOptions
from workers.progress import ProgressQueue
from workers.types import Execution, Outcome, OutcomeStatus, ProducedFile, Progress, Task
from workers.wire import Json, outcome_from_json, task_to_json

_PREFIX = "trimtab-run-"
_ROOT = Path(__file__).resolve().parents[2]  # the folder of the packages
READY_S = 120.0  # a cold cluster on a busy machine needs some 10 s
CLOSE_S = 10.0
RESTART_S = 2.0
CANCEL_S = 8.0  # the host itself gives an actor 3 s
LOG_LINES = 40


class RayUnavailable(RuntimeError):
    """The cluster is unreachable or has no room; another attempt may succeed."""


class RayExecutor:
    """Runs attempts on up to `workers` slots, as many as the cluster has room for."""

    name = "ray"

    def __init__(
        self,
        *,
        address: str | None,
        workers: int,
        scratch_dir: Path,
        sandbox: str = "auto",
        preload: Sequence[str] = (),
        namespace: str = "trimtab",
        silence_s: float | None = None,
        text: TextOptions | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers: expected at least 1, got {workers}")
        self._address = address
        self._workers = workers
        self._scratch_dir = scratch_dir.absolute()
        self._command = [sys.executable, "-P", "-m", "workers.cluster.host"]
        self._command += ["--namespace", namespace, "--workers", str(workers)]
        self._command += ["--sandbox", sandbox, "--preload", ",".join(preload)]
        self._command += ["--address", address] if address else []
        self._command += ["--silence-s", str(silence_s)] if silence_s else []
        self._text_options = text
        if text is not None:
            body = {**asdict(text), "cache_dir": str(text.cache_dir)}
            del body["api_key"]
            self._command += ["--text", orjson.dumps(body).decode()]
        self.text = None if text is None else PoolText(self._send, model=text.model)
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._about: Json = {}
        self._slots: list[Json] = []
        self._has_slots = asyncio.Event()
        self._runs: dict[int, RayExecution] = {}
        self._last_run = 0
        self._output_lines = deque[str](maxlen=LOG_LINES)
        self._keeper: asyncio.Task[None] | None = None
        self._starts = 0

    @property
    def capacity(self) -> int:
        """Actors that are ready now."""
        return len(self._slots)

    async def open(self) -> None:
        """Connect to or start a cluster, and wait for the first actor.

        Raises RayUnavailable, or UnsafeCluster (a ValueError).
        """
        self._scratch_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftover in self._scratch_dir.glob(_PREFIX + "*"):
            await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
        environment = self._environment()
        self._keeper = asyncio.create_task(self._keep_host(environment))
        ready = asyncio.create_task(self._has_slots.wait())
        try:
            await asyncio.wait(
                {ready, self._keeper},
                timeout=READY_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not ready.done():
                raise RayUnavailable(
                    f"no Ray worker was ready within {READY_S:g} s at {self._where()}; "
                    f"{self._last_output()}"
                )
        except BaseException:
            await self.close()
            raise
        finally:
            ready.cancel()

    async def start(self, task: Task) -> Execution:
        """Hand the task to an actor, once one is free. Raises RayUnavailable."""
        if self._writer is None:
            raise RayUnavailable(
                f"the Ray host process is down and will be started again; {self._last_output()}"
            )
        self._last_run += 1
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._scratch_dir))
        execution = RayExecution(
            self._last_run, folder, send=self._send, on_end=self._forget
        )
        self._runs[self._last_run] = execution
        try:
            body = {"task": task_to_json(task), "folder": str(folder)}
            self._send({"type": "run", "run": execution.number, **body})
            await execution.begun()
        except BaseException:
            self._send({"type": "cancel", "run": execution.number})
            self._forget(execution)
            raise
        return execution

    async def close(self) -> None:
        """End runs, actors and a cluster that we started; no process is left."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await self._end_host()

    def describe(self) -> Mapping[str, Any]:
        """Return the cluster, its slots and the number of runs."""
        return {
            "executor": self.name,
            "capacity": self.capacity,
            "wanted": self._workers,
            "running": len(self._runs),
            "sandbox": ", ".join(
                sorted({str(slot.get("sandbox")) for slot in self._slots})
            ),
            "protects": {
                name: all(
                    slot.get("protects", {}).get(name, True) for slot in self._slots
                )
                for name in ("files", "network")
            },
            "sandbox_gaps": next(
                (str(gaps) for slot in self._slots if (gaps := slot.get("sandbox_gaps"))),
                "",
            ),
            "nodes": len({slot.get("node") for slot in self._slots}),
            "slots": [dict(slot) for slot in self._slots],
            "host_pid": None if self._process is None else self._process.pid,
            "host_starts": self._starts,
            **self._about,
        }

    # --- the host process
    def _environment(self) -> dict[str, str]:
        token_file = self._scratch_dir.parent / "ray.token"
        environment = host_environment(
            self._address, token_file=token_file, inherited=os.environ
        )
        if self._text_options is not None and self._text_options.api_key:
            environment[TEXT_KEY] = self._text_options.api_key
        inherited = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(_ROOT), *([inherited] if inherited else [])]
        )
        return environment

    async def _keep_host(self, environment: Mapping[str, str]) -> None:
        """Start the host, handle its frames, and start it again when it dies."""
        while True:
            try:
                await self._start_host(environment)
                self._starts += 1
                await self._listen()
            except (frames.BadFrame, OSError, KeyError, ValueError) as error:
                self._output_lines.append(f"{type(error).__name__}: {error}")
            await self._end_host()
            await asyncio.sleep(RESTART_S)

    async def _start_host(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(environment),
                cwd=_ROOT,  # Ray's workers import from the driver's folder before any other
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._output = asyncio.create_task(self._collect_output(self._process))

    async def _collect_output(self, process: asyncio.subprocess.Process) -> None:
        while process.stdout is not None and (line := await process.stdout.readline()):
            self._output_lines.append(line.decode(errors="replace").rstrip())

    async def _end_host(self) -> None:
        """Wait for the host to end, which ends a cluster of ours in order; then kill it."""
        self._slots = []
        self._has_slots.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        process, self._process = self._process, None
        if process is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await process.wait()
            except TimeoutError:
                pass
            finally:
                # The host has its own session, which includes a cluster that it started.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            await asyncio.wait({self._output}, timeout=1.0)
            self._output.cancel()
        for run in list(self._runs.values()):
            run.lost("the Ray host process ended")
        if self.text is not None:
            self.text.lose("the Ray host process ended; send the request again")

    async def _listen(self) -> None:
        while (frame := await frames.read(self._reader)) is not None:
            match frame["type"]:
                case "ready":
                    self._about = {k: frame[k] for k in ("address", "local", "ray")}
                case "slots":
                    self._slots = list(frame["slots"])
                    if self._slots:
                        self._has_slots.set()
                case "text_state":
                    if self.text is not None:
                        self.text.update(frame["state"])
                case name if name in ANSWERS:
                    if self.text is not None:
                        self.text.deliver(frame)
                case _:
                    run = self._runs.get(int(frame["run"]))
                    if run is not None:
                        run.hear(frame)

    def _send(self, frame: Json) -> None:
        if self._writer is not None:
            self._writer.write(frames.pack(frame))

    def _forget(self, execution: RayExecution) -> None:
        self._runs.pop(execution.number, None)

    def _where(self) -> str:
        return self._address or "a cluster on this machine"

    def _last_output(self) -> str:
        text = "\n".join(self._output_lines)[-1500:]
        return f"its output: {text or '(none)'}"


class RayExecution:
    """One attempt, on an actor of the cluster."""

    def __init__(self, number: int, folder: Path, *, send: Any, on_end: Any) -> None:
        self.number = number
        self._folder = folder
        self._send = send
        self._on_end = on_end
        self._progress = ProgressQueue()
        self._outcome: asyncio.Future[Outcome] = (
            asyncio.get_running_loop().create_future()
        )
        self._begun = asyncio.Event()
        self._heard = time.monotonic()
        self._stopped = False
        self._checkpoint: bytes | None = None

    async def begun(self) -> None:
        """Wait until a child has the task, or the attempt has ended."""
        await self._begun.wait()

    def events(self) -> AsyncIterator[Progress]:
        """Yield the child's events until it ends."""
        return self._progress.events()

    async def result(self) -> Outcome:
        """Wait for the end."""
        return await asyncio.shield(self._outcome)

    @property
    def silent_s(self) -> float:
        """Seconds since the child's last frame, including the way over Ray."""
        return time.monotonic() - self._heard

    async def stop(self) -> None:
        """Ask for the best solution; the actor kills the child after the grace time."""
        if not self._stopped and not self._outcome.done():
            self._stopped = True
            self._send({"type": "stop", "run": self.number})

    async def checkpoint(self) -> bytes | None:
        """Return the newest checkpoint that the actor has sent."""
        return self._checkpoint

    async def cancel(self) -> None:
        """Kill the run. One that cannot be reached in time counts as killed and is ignored."""
        if self._outcome.done():
            return
        self._send({"type": "cancel", "run": self.number})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await self.result()
        self._finish(OutcomeStatus.CANCELLED, Reason.CANCELLED, "cancelled by its owner")

    async def close(self) -> None:
        """Kill what is left and remove the run folder."""
        if not self._outcome.done():
            await self.cancel()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def hear(self, frame: Json) -> None:
        """Handle a frame of the host about this run."""
        self._heard = time.monotonic() - float(frame.get("silent_s", 0.0))
        match frame["type"]:
            case "started":
                self._begun.set()
            case "progress":
                progress = Progress(
                    type=EventType(frame["event"]),
                    data=frame["data"],
                    elapsed_s=float(frame["elapsed_s"]),
                )
                self._progress.put(progress)
            case "checkpoint":
                self._checkpoint = base64.b64decode(frame["data"])
            case "outcome":
                produced = [
                    ProducedFile(
                        name=p["name"], path=Path(p["path"]), media_type=p["media_type"]
                    )
                    for p in frame["produced"]
                ]
                self._settle(outcome_from_json(frame, produced))

    def lost(self, why: str) -> None:
        """Settle as lost: the host is gone, and with it all that it started."""
        self._finish(OutcomeStatus.LOST, Reason.WORKER_LOST, why)

    def _finish(self, status: OutcomeStatus, reason: Reason, detail: str) -> None:
        self._settle(
            Outcome(status=status, termination=Termination(reason=reason, detail=detail))
        )

    def _settle(self, outcome: Outcome) -> None:
        if self._outcome.done():
            return
        self._outcome.set_result(outcome)
        self._progress.end()
        self._begun.set()
        self._on_end(self)
