"""`python -m workers.cluster.host`: the one process of a dispatcher that imports Ray.

It exchanges frames (workers.process.frames) over file descriptor 0 with `workers.cluster.pool` in
the dispatcher:

dispatcher → host   run, stop, cancel; calls of a language model (workers.llm.wire)
host → dispatcher   ready, slots, started, progress, checkpoint, beat, outcome; answers of the
                    model, and text_state

Ray is never the record: when this process dies, the store's leases recover its runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import ray

from trimtab.results import Reason, Termination
from workers.cluster.actor import make_worker
from workers.cluster.auth import LOCAL
from workers.cluster.text_actor import RayTextBackend, make_text_actor
from workers.llm.calls import TextRelay
from workers.llm.wire import CALLS
from workers.process import frames
from workers.process.text_host import TEXT_KEY, TextOptions
from workers.types import Outcome, OutcomeStatus
from workers.wire import Json, outcome_to_json

# An actor sends an item at least every 0.5 s. After this much silence its node counts as dead, long
# before Ray reports it (after some 10 to 15 s).
SILENCE_S = 6.0
# All inputs of a run together: each node's object store holds them in memory.
MAX_INPUT_BYTES = 512 * 2**20
CANCEL_S = 3.0  # without an answer to a cancel, the actor is killed
PING_EVERY_S = 2.0
AGAIN_S = 0.5
TEXT_EVERY_S = 1.0


class Silent(Exception):
    """An actor was silent for too long."""


@dataclass
class Slot:
    """A slot: an actor, and its successors when it dies."""

    number: int
    actor: Any = None
    about: Json = field(default_factory=dict)
    busy: bool = False
    broken: asyncio.Event = field(default_factory=asyncio.Event)


class Host:
    """Keeps `workers` actors alive and gives them runs."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        *,
        workers: int,
        sandbox: str,
        preload: Sequence[str],
        silence_s: float,
        text: RayTextBackend | None = None,
    ) -> None:
        self._writer = writer
        self._text = text
        self._relay = TextRelay(text, self._send, owner=None)
        self._sandbox = sandbox
        self._preload = preload
        self._silence_s = silence_s
        self._slots = [Slot(number=n) for n in range(workers)]
        self._idle: asyncio.Queue[Slot] = asyncio.Queue()
        self._running: dict[int, Slot] = {}
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._cancelled: set[int] = set()
        self._asides: set[asyncio.Task[None]] = set()
        self._reported_slots: list[Json] | None = None

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Handle frames until the dispatcher's process closes its end."""
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        if self._text is not None:
            self._keepers.append(asyncio.create_task(self._report_text(self._text)))
        while (frame := await frames.read(reader)) is not None:
            match frame["type"]:
                case "run":
                    number = int(frame["run"])
                    self._runs[number] = asyncio.create_task(
                        self._run(number, frame["task"], Path(frame["folder"]))
                    )
                case "stop":
                    self._aside(self._stop(int(frame["run"])))
                case "cancel":
                    self._aside(self._cancel(int(frame["run"])))
                case name if name in CALLS:
                    self._relay.handle(frame)
                case other:
                    raise frames.BadFrame(f"unknown frame {other!r}")

    async def close(self) -> None:
        """End all runs and actors; children first, so that none outlives its actor."""
        for task in (*self._keepers, *self._runs.values()):
            task.cancel()
        await self._relay.close()
        live = [slot.actor for slot in self._slots if slot.about]
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CANCEL_S):
                await asyncio.gather(
                    *(actor.close.remote() for actor in live), return_exceptions=True
                )

    def _send(self, frame: Json) -> None:
        self._writer.write(frames.pack(frame))

    def _aside(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    async def _report_text(self, text: RayTextBackend) -> None:
        """Send the state of the language model whenever it changes."""
        sent: Json | None = None
        while True:
            state = dict(await text.refresh())
            if state != sent:
                sent = state
                self._send({"type": "text_state", "state": state})
            await asyncio.sleep(TEXT_EVERY_S)

    # --- actors
    async def _keep(self, slot: Slot) -> None:
        """Create an actor for this slot, and another one whenever it breaks."""
        generation = 0
        while True:
            try:
                if slot.actor is None:
                    generation += 1
                    name = f"worker-{slot.number}-{generation}"
                    slot.actor = make_worker(
                        name, sandbox=self._sandbox, preload=self._preload
                    )
                # Pending until the cluster has room, without a time limit.
                slot.about = await slot.actor.hello.remote()
            except Exception as error:
                print(f"slot {slot.number}: no actor: {error}", file=sys.stderr)
                self._discard(slot)
                await asyncio.sleep(AGAIN_S)
                continue
            slot.broken.clear()
            slot.busy = False
            self._idle.put_nowait(slot)
            self._send_slots()
            await self._watch(slot)
            slot.about = {}
            self._discard(slot)
            self._send_slots()

    async def _watch(self, slot: Slot) -> None:
        """Return when the actor is broken."""
        while not slot.broken.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_EVERY_S):
                    await slot.broken.wait()
            if slot.busy or slot.broken.is_set():
                continue  # a running actor sends items anyway
            try:
                async with asyncio.timeout(self._silence_s):
                    slot.about = await slot.actor.hello.remote()
                self._send_slots()  # Ray may have restarted it, even on another node
            except Exception:
                slot.broken.set()

    def _discard(self, slot: Slot) -> None:
        if slot.actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(slot.actor, no_restart=True)
        slot.actor = None

    def _send_slots(self) -> None:
        slots = [{"slot": s.number, **s.about} for s in self._slots if s.about]
        if slots != self._reported_slots:
            self._reported_slots = slots
            self._send({"type": "slots", "slots": slots})

    # --- runs
    async def _take(self) -> Slot:
        while True:
            slot = await self._idle.get()
            if slot.about and not slot.broken.is_set() and not slot.busy:
                return slot

    async def _run(self, run: int, order: Json, folder: Path) -> None:
        try:
            contents = await asyncio.to_thread(_read_inputs, order["inputs"])
        except (OSError, ValueError) as error:
            status, reason = OutcomeStatus.TRANSIENT, Reason.WORKER_LOST
            if isinstance(error, ValueError):  # too large
                status, reason = OutcomeStatus.FAILED, Reason.RESOURCE_EXHAUSTED
            self._end(run, _outcome(status, reason, str(error)))
            return
        slot = await self._take()
        slot.busy = True
        actor = slot.actor
        self._running[run] = slot
        last: Json | None = None
        why = "the worker's stream ended without an outcome"
        try:
            last = await self._listen(run, actor, order, contents, folder)
        except Exception as error:  # the actor or its node is gone; Ray has several types
            why = f"{type(error).__name__}: {error}"
        del self._running[run]
        if last is None:
            slot.broken.set()
            cancelled = run in self._cancelled
            status = OutcomeStatus.CANCELLED if cancelled else OutcomeStatus.LOST
            reason = Reason.CANCELLED if cancelled else Reason.WORKER_LOST
            last = _outcome(
                status,
                reason,
                "cancelled by its owner" if cancelled else f"worker lost: {why[:500]}",
            )
        else:
            slot.busy = False
            self._idle.put_nowait(slot)
        self._end(run, last)

    async def _listen(
        self, run: int, actor: Any, order: Json, contents: list[bytes], folder: Path
    ) -> Json | None:
        stream = actor.run.options(
            num_returns="streaming", _generator_backpressure_num_objects=64
        ).remote(run, order, *contents)
        produced: list[Json] = []
        with contextlib.ExitStack() as files:
            file: Any = None
            while True:
                try:
                    async with asyncio.timeout(self._silence_s):
                        item = await (await anext(stream))
                except StopAsyncIteration:
                    return None
                except TimeoutError:
                    raise Silent(f"no report for {self._silence_s:g} s") from None
                if isinstance(item, bytes):
                    file.write(item)
                    continue
                match item["type"]:
                    case "file":
                        files.close()
                        path = folder / str(len(produced))
                        file = files.enter_context(path.open("wb"))
                        produced.append(
                            {
                                "name": item["name"],
                                "media_type": item["media_type"],
                                "path": str(path),
                            }
                        )
                    case "outcome":
                        return {**item, "produced": produced}
                    case "started" | "progress" | "beat" | "checkpoint":
                        self._send({**item, "run": run})

    def _end(self, run: int, outcome: Json) -> None:
        self._runs.pop(run, None)
        self._cancelled.discard(run)
        try:
            self._send({**outcome, "type": "outcome", "run": run})
        except frames.BadFrame as error:
            too_large = _outcome(
                OutcomeStatus.FAILED,
                Reason.RESOURCE_EXHAUSTED,
                f"the result is too large: {error}",
            )
            self._send({**too_large, "type": "outcome", "run": run})

    async def _stop(self, run: int) -> None:
        slot = self._running.get(run)
        if slot is not None:
            with contextlib.suppress(Exception):
                await slot.actor.stop.remote(run)

    async def _cancel(self, run: int) -> None:
        self._cancelled.add(run)
        slot = self._running.get(run)
        task = self._runs.get(run)
        if task is None:
            self._cancelled.discard(run)
            return
        if slot is None:  # waiting for a slot, or reading inputs
            task.cancel()
            self._end(
                run,
                _outcome(
                    OutcomeStatus.CANCELLED, Reason.CANCELLED, "cancelled by its owner"
                ),
            )
            return
        try:
            async with asyncio.timeout(CANCEL_S):
                await slot.actor.cancel.remote(run)
                await asyncio.shield(task)
        except Exception:
            # No answer, or the actor is gone: kill the actor, and its children with it.
            if self._running.get(run) is slot:
                self._discard(slot)


def _read_inputs(inputs: dict[str, str]) -> list[bytes]:
    paths = [Path(path) for path in inputs.values()]
    size = sum(path.stat().st_size for path in paths)
    if size > MAX_INPUT_BYTES:
        raise ValueError(
            f"inputs: expected at most {MAX_INPUT_BYTES} bytes for a Ray worker, got {size}"
        )
    return [path.read_bytes() for path in paths]


def _outcome(status: OutcomeStatus, reason: Reason, detail: str) -> Json:
    outcome = Outcome(
        status=status, termination=Termination(reason=reason, detail=detail)
    )
    return {**outcome_to_json(outcome), "produced": []}


def connect(address: str | None, *, namespace: str, cpus: int) -> Json:
    """Connect to a cluster, or start one on this machine that ends with this process."""
    local = address in (None, LOCAL)
    more: Json = {"num_cpus": cpus, "include_dashboard": False} if local else {}
    context = ray.init(
        address=LOCAL if local else address,
        namespace=namespace,
        log_to_driver=False,
        logging_level="warning",
        **more,
    )
    return {
        "address": str(context.address_info.get("gcs_address", address)),
        "local": local,
        "ray": ray.__version__,
    }


def text_options(text: str) -> TextOptions:
    """Return the options of a model; its API key comes by the environment."""
    body = orjson.loads(text)
    key = os.environ.get(TEXT_KEY, "")
    hosts = tuple(body["allowed_hosts"])
    paths = {"cache_dir": Path(body["cache_dir"]), "allowed_hosts": hosts}
    return TextOptions(**{**body, **paths, "api_key": key})


def _start_text(options: TextOptions) -> Any:
    """Create the model's actor, on a GPU if the cluster has one and the model can use it."""
    gpus = ray.cluster_resources().get("GPU", 0)
    on_gpu = options.model.startswith("checkpoint:") and gpus >= 1
    return make_text_actor(options, num_gpus=1 if on_gpu else 0)


async def serve(options: argparse.Namespace) -> None:
    """Connect, then serve frames."""
    sock = socket.socket(fileno=os.dup(0))
    sock.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=sock)
    model = None if options.text is None else text_options(options.text)
    cpus = options.workers + (0 if model is None else model.threads)
    # A namespace of its own: another service on the cluster may have the same process id, and has
    # its own language model.
    namespace = f"{options.namespace}-{secrets.token_hex(8)}"
    about = connect(options.address, namespace=namespace, cpus=cpus)
    writer.write(frames.pack({"type": "ready", **about}))
    text = None if model is None else RayTextBackend(_start_text(model))
    host = Host(
        writer,
        workers=options.workers,
        sandbox=options.sandbox,
        preload=[name for name in options.preload.split(",") if name],
        silence_s=options.silence_s,
        text=text,
    )
    try:
        await host.serve(reader)
    finally:
        await host.close()
        ray.shutdown()


def main(argv: list[str]) -> None:
    """Serve until file descriptor 0 closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--preload", default="")
    parser.add_argument("--silence-s", type=float, default=SILENCE_S)
    parser.add_argument("--text", help="TextOptions as JSON, without the API key")
    asyncio.run(serve(parser.parse_args(argv)))


if __name__ == "__main__":
    main(sys.argv[1:])
