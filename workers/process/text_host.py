"""`TextHost`: keeps the process of a language model alive, and shares it among many callers.

Lives on the service's event loop and imports no torch. The model's process is a sandboxed child:
it reads weights of others, and a crash or a leak in native code ends it and nothing else. A crash
ends the generations that had begun, each with a clear error, because repeating half an answer
would change it; calls that still wait go to the next process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.text_model import (
    Capabilities,
    Ended,
    ModelBusy,
    ModelUnavailable,
    TextRequest,
    Token,
)
from workers.llm import wire
from workers.llm.calls import TextCalls, score_over
from workers.process import frames
from workers.process.output_tail import OutputTail
from workers.process.sandbox import (
    ChildProcess,
    Level,
    Program,
    choose_level,
    start_child,
)

TEXT_KEY = "TRIMTAB_TEXT_API_KEY"  # environment of the model's process
TEXT_HOSTS = "TRIMTAB_TEXT_ALLOWED_HOSTS"
OPENER = "workers.llm.open:open_model"
SILENCE_S = 20.0
"""A child sends a beat every 0.5 s; after this much silence it is killed."""
OVERTIME_S = 20.0
"""A model ends a call at its deadline; when it does not for this long, its process is killed."""
LOADING_S = 300.0
"""How long a call without a deadline waits for the model to be loaded."""
OUTPUT_S = 5.0
"""How long the end of a dead process's output is waited for."""
_STEADY_S = 60.0  # a process that lived this long is restarted at once
_FIRST_PAUSE_S, _REFUSED_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 4.0, 120.0
_PREFIX = "trimtab-text-"
# What a process with a network reads to find names and to check certificates.
_NETWORK_FILES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
)
_PASSED_ON = ("TRIMTAB_KERNELS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Options of a hosted model."""

    model: str  # as `workers.llm.open.open_model` takes it
    cache_dir: Path  # converted weights and compiled kernels, kept between starts
    sandbox: str = "auto"
    threads: int = 1
    memory_bytes: int = 6 * 2**30  # of data, beside mapped weights
    max_waiting: int = 64  # calls beyond those that the model takes at once
    api_key: str = field(default="", repr=False)  # of `openai:URL`
    allowed_hosts: tuple[str, ...] = ()  # that `openai:URL` may name; empty: any
    opener: str = OPENER

    def program(self) -> Program:
        """Return the program of the model's process."""
        network = self.model.startswith("openai:")
        readable: tuple[Path, ...] = ()
        if self.model.startswith("checkpoint:"):
            folder = Path(self.model.removeprefix("checkpoint:")).absolute()
            readable = tuple(dict.fromkeys((folder, folder.resolve())))
        if network:
            readable += tuple(path for path in map(Path, _NETWORK_FILES) if path.exists())
        threads = str(self.threads)
        environment = {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "XDG_CACHE_HOME": str(self.cache_dir),
            "TRITON_CACHE_DIR": str(self.cache_dir / "triton"),
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            **({TEXT_KEY: self.api_key} if self.api_key else {}),
            **({TEXT_HOSTS: ",".join(self.allowed_hosts)} if self.allowed_hosts else {}),
        }
        return Program(
            module="workers.process.text_child",
            arguments=(
                *("--model", self.model),
                *("--opener", self.opener),
                *("--memory-bytes", str(self.memory_bytes)),
                *(("--network",) if network else ()),
            ),
            readable=tuple(path for path in readable if path.exists()),
            writable=(self.cache_dir,),
            devices=tuple(sorted(Path("/dev").glob("nvidia*"))),
            network=network,
            environment=environment,
        )


class TextHost:
    """A `TextBackend` over a child process."""

    def __init__(self, options: TextOptions, *, scratch_dir: Path) -> None:
        self._options = options
        self._scratch_dir = scratch_dir
        self._level = Level.RLIMIT
        self._child: ChildProcess | None = None
        self._calls: TextCalls | None = None
        self._capabilities: Capabilities | None = None
        self._settled = asyncio.Event()  # ready, or failed with a reason
        self._reason = ""
        self._heard = 0.0
        self._state = "starting"
        self._starts = 0
        self._startup_s = 0.0
        self._turns = _Turns(max_waiting=options.max_waiting)
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to load the model; returns at once. Raises SandboxUnavailable."""
        self._level, _ = await asyncio.to_thread(choose_level, self._options.sandbox)
        for folder in (self._scratch_dir, self._options.cache_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftover in self._scratch_dir.glob(_PREFIX + "*"):
            await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
        self._keeper = asyncio.create_task(self._keep(), name="text model")

    async def close(self) -> None:
        """End every call and the model's process."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        self._disconnect("closed", "the server is closing")
        self._settled.set()

    def describe(self) -> Mapping[str, Any]:
        """Return name, state, capabilities, calls and restarts."""
        about = self._capabilities
        return {
            "model": self._options.model,
            "state": self._state,
            "reason": self._reason,
            "capabilities": None if about is None else wire.capabilities_to_json(about),
            "active": self._turns.active,
            "waiting": self._turns.waiting,
            "starts": self._starts,
            "startup_s": round(self._startup_s, 3),
            "pid": None if self._child is None else self._child.process.pid,
            "sandbox": self._level.value,
        }

    async def capabilities(self) -> Capabilities:
        """Wait until the model is loaded, and say what it can do. Raises ModelUnavailable."""
        await self._ready()
        if self._capabilities is None:
            raise ModelUnavailable(self._reason or "the model is being restarted")
        return self._capabilities

    async def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        owner: str = "",
        deadline_s: float | None = None,
    ) -> AsyncGenerator[Token, None]:
        """Yield tokens as they come. The time in the queue counts against the deadline."""
        until = _until(deadline_s)
        async with self._turn(owner, until) as calls:
            left_s = None if until is None else max(0.001, until - _now())
            last = None if until is None else until + OVERTIME_S
            stream = calls.generate(request, ended, deadline_s=left_s)
            async with aclosing(stream) as tokens:
                while True:
                    try:
                        async with asyncio.timeout_at(last):
                            token = await anext(tokens)
                    except StopAsyncIteration:
                        return
                    except TimeoutError:
                        raise self._overdue(OVERTIME_S) from None
                    yield token

    async def score(
        self, prompt: str, continuations: Sequence[str], *, owner: str = ""
    ) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats."""
        async with self._turn(owner, _until(LOADING_S)) as calls:
            return await score_over(calls, prompt, continuations)

    async def tokenize(self, text: str, *, owner: str = "") -> list[int]:
        """Return ids of a text."""
        async with self._turn(owner, _until(LOADING_S)) as calls:
            return [int(token) for token in await calls.value("tokenize", text=text)]

    @asynccontextmanager
    async def _turn(self, owner: str, until: float | None) -> AsyncIterator[TextCalls]:
        """Wait for a turn and for the model. Raises ModelBusy or ModelUnavailable."""
        began = _now()
        try:
            async with asyncio.timeout_at(until):
                await self._turns.take(owner)
        except TimeoutError:
            raise ModelBusy(
                f"the model was busy for {_now() - began:.0f} s, the whole time of this call; "
                "try again later, or with a smaller max_tokens"
            ) from None
        try:
            yield await self._ready(until)
        finally:
            self._turns.give_back(owner)

    async def _ready(self, until: float | None = None) -> TextCalls:
        """Return the connection once there is one. Raises ModelUnavailable with the reason."""
        try:
            async with asyncio.timeout_at(_now() + LOADING_S if until is None else until):
                await self._settled.wait()
        except TimeoutError:
            raise ModelUnavailable(
                f"the model {self._options.model!r} is still being loaded; try again later"
            ) from None
        if self._calls is None:
            raise ModelUnavailable(self._reason)
        return self._calls

    def _overdue(self, seconds: float) -> ModelUnavailable:
        """Kill a process that does not keep to a deadline; calls wait for the next one."""
        reason = (
            f"the model did not end a call within {seconds:g} s of its deadline; it is "
            "restarted"
        )
        if self._child is not None:
            self._child.kill()
        self._settled.clear()
        self._disconnect("restarting", reason)
        return ModelUnavailable(reason)

    def _disconnect(self, state: str, reason: str) -> None:
        """End the connection: calls that have begun fail with the reason."""
        calls, self._calls = self._calls, None
        self._state, self._reason = state, reason
        if calls is not None:
            calls.lose(reason)

    # --- the process

    async def _keep(self) -> None:
        """Start the model's process, serve it, and start it again when it ends."""
        pause_s = 0.0
        while True:
            began = _now()
            try:
                reason, crashed = await self._run_child()
            except (OSError, RuntimeError) as error:
                reason, crashed = f"the model's process did not start: {error}", False
            self._disconnect("restarting" if crashed else "failed", reason)
            first_s = _FIRST_PAUSE_S if crashed else _REFUSED_PAUSE_S
            steady = _now() - began > _STEADY_S
            pause_s = first_s if steady else max(first_s, 2 * pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s)
            # After one crash, calls wait for the next process. One that refuses its model, or
            # crashes again and again, is reported to them.
            if crashed and pause_s < _REFUSED_PAUSE_S:
                self._settled.clear()
            else:
                self._settled.set()
            await asyncio.sleep(pause_s)

    async def _run_child(self) -> tuple[str, bool]:
        """Run one process to its end. Returns (why it ended, whether it crashed)."""
        workdir = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._scratch_dir))
        tail = OutputTail()
        collecting = watching = None
        try:
            child = await start_child(
                workdir, level=self._level, program=self._options.program()
            )
            self._child, self._starts = child, self._starts + 1
            self._heard = _now()
            collecting = asyncio.create_task(tail.collect(child.process.stdout))
            watching = asyncio.create_task(self._watch(child))
            refusal = await self._listen(child)
            if refusal is not None:
                return refusal, False
            await child.end()
            await asyncio.wait({collecting}, timeout=OUTPUT_S)
            return self._why(child, tail), True
        finally:
            if watching is not None:
                watching.cancel()
            if self._child is not None:
                await self._child.end()
                self._child.writer.close()
            if collecting is not None:
                # asyncio releases a process once its output has ended.
                await asyncio.wait({collecting}, timeout=OUTPUT_S)
                collecting.cancel()
            self._child = None
            await asyncio.to_thread(shutil.rmtree, workdir, ignore_errors=True)

    async def _listen(self, child: ChildProcess) -> str | None:
        """Handle the child's frames to its end. Returns its reason when it refuses to serve."""

        def send(frame: frames.Frame) -> None:
            if not child.writer.is_closing():
                child.writer.write(frames.pack(frame))

        calls = TextCalls(send)
        with contextlib.suppress(frames.BadFrame, KeyError, TypeError, ValueError):
            while (frame := await frames.read(child.reader)) is not None:
                self._heard = _now()
                match frame["type"]:
                    case "beat":
                        continue
                    case "failed":
                        return str(frame["message"])
                    case "ready":
                        about = wire.capabilities_from_json(frame["capabilities"])
                        self._capabilities = about
                        self._startup_s = float(frame["startup_s"])
                        self._calls, self._reason = calls, ""
                        self._state = "ready"
                        self._turns.resize(max(1, about.streams))
                        self._settled.set()
                    case _:
                        calls.deliver(frame)
        return None

    async def _watch(self, child: ChildProcess) -> None:
        """Kill a child that is silent for too long."""
        while _now() - self._heard < SILENCE_S:
            await asyncio.sleep(1.0)
        child.kill()

    def _why(self, child: ChildProcess, tail: OutputTail) -> str:
        death = child.death()
        how = f"by {death.name}" if death else f"with code {child.process.returncode}"
        last = (tail.text().strip().splitlines() or ["no output"])[-1]
        return (
            f"the model's process ended {how} and is restarted; send the request again. "
            f"Its last line: {last[:300]}"
        )


class _Turns:
    """Calls in progress, and a queue in which callers take turns."""

    def __init__(self, *, max_waiting: int) -> None:
        self._size = 1
        self._max_waiting = max_waiting
        self._running: Counter[str] = Counter()
        self._queue: list[tuple[str, asyncio.Future[None]]] = []

    @property
    def active(self) -> int:
        return self._running.total()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def resize(self, size: int) -> None:
        self._size = size
        self._admit()

    async def take(self, owner: str) -> None:
        """Wait for a turn. Raises ModelBusy when too many wait already."""
        if self.active < self._size and not self._queue:
            self._running[owner] += 1
            return
        if len(self._queue) >= self._max_waiting:
            raise ModelBusy(
                f"expected at most {self._max_waiting} calls to wait for the model, got one "
                "more; try again later"
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (owner, turn)
        self._queue.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._queue:
                self._queue.remove(entry)
            elif not turn.cancelled():
                self.give_back(owner)  # admitted at the same moment
            raise

    def give_back(self, owner: str) -> None:
        self._running[owner] -= 1
        if self._running[owner] < 1:
            del self._running[owner]
        self._admit()

    def _admit(self) -> None:
        """Admit those who wait, first of the owners with the fewest calls in progress."""
        while self._queue and self.active < self._size:
            at = min(
                range(len(self._queue)),
                key=lambda place: self._running[self._queue[place][0]],
            )
            owner, turn = self._queue.pop(at)
            if not turn.done():
                self._running[owner] += 1
                turn.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _until(seconds: float | None) -> float | None:
    return None if seconds is None else _now() + seconds
