"""The worker on a Ray node: a named actor with a warm child, one attempt at a time.

The child is the same killable, sandboxed process as on one machine. An actor that solved in its own
process could not answer while native code holds the interpreter's lock, and killing it would lose
what it keeps warm. Calls go to two concurrency groups, so that `stop` and `cancel` never wait for
`run`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import ray

from trimtab.results import EventType
from workers.cluster.text_actor import RayTextBackend
from workers.process.pool import ProcessExecutor
from workers.types import Execution
from workers.wire import Json, outcome_to_json, task_from_json

BEAT_S = 0.5  # as the child itself
CHUNK_BYTES = 4 * 2**20  # of a produced file, in one item of the stream
CHECKPOINT_S = 1.0  # between two checkpoints sent to the dispatcher
_FOLDER = "trimtab-ray-"
T = TypeVar("T")


class RayWorker:
    """One slot of the cluster. Only workers.cluster.host calls its methods."""

    def __init__(self, *, sandbox: str, preload: Sequence[str]) -> None:
        # Ray runs each method in a thread of its group. Children live on one loop of our own. Not
        # on uvloop, Ray's choice: its children inherit every open file that native code did not
        # mark, among them Ray's sockets and logs.
        asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
        self._loop = asyncio.new_event_loop()
        threading.Thread(
            target=self._loop.run_forever, name="children", daemon=True
        ).start()
        _remove_leftovers()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
        self._executor = ProcessExecutor(
            workers=1,
            scratch_dir=self._folder / "runs",
            sandbox=sandbox,
            preload=tuple(preload),
            text=RayTextBackend(),  # found when a run asks
        )
        self._call(self._executor.open())
        self._lock = threading.Lock()
        self._current: tuple[int, Execution] | None = None
        self._cancelled: set[int] = set()  # cancelled before they began

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def hello(self) -> Json:
        """Return pid, node and sandbox, once the actor is ready and while it is alive."""
        about = dict(self._executor.describe())
        sandbox = {name: about[name] for name in ("sandbox", "protects", "sandbox_gaps")}
        return {
            "pid": os.getpid(),
            "node": ray.get_runtime_context().get_node_id(),
            **sandbox,
        }

    @ray.method(concurrency_group="run")  # type: ignore[untyped-decorator]
    def run(self, run_id: int, order: Json, *contents: bytes) -> Iterator[Json | bytes]:
        """Run one attempt and stream it.

        Yields `started`, then `progress`, `beat` and `checkpoint`, then for each produced file
        `file` and its bytes, then `outcome`.
        """
        folder = Path(tempfile.mkdtemp(prefix="inputs-", dir=self._folder))
        execution: Execution | None = None
        try:
            task = task_from_json(order, _write_inputs(folder, order["inputs"], contents))
            starting = asyncio.run_coroutine_threadsafe(
                self._executor.start(task), self._loop
            )
            while execution is None:
                try:
                    execution = starting.result(BEAT_S)
                except TimeoutError:
                    if starting.done():
                        raise
                    yield {"type": "beat", "silent_s": 0.0}
            yield {"type": "started"}
            with self._lock:
                self._current = (run_id, execution)
                cancelled = run_id in self._cancelled
            if cancelled:
                self._call(execution.cancel())
            yield from self._progress(execution)
            outcome = self._call(execution.result())
            for file in outcome.produced:
                yield {"type": "file", "name": file.name, "media_type": file.media_type}
                with file.path.open("rb") as stream:
                    while chunk := stream.read(CHUNK_BYTES):
                        yield chunk
            yield {"type": "outcome", **outcome_to_json(outcome)}
        finally:
            with self._lock:
                self._current = None
                self._cancelled.discard(run_id)
            if execution is not None:
                self._call(execution.close())
            shutil.rmtree(folder, ignore_errors=True)

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def stop(self, run_id: int) -> None:
        """End the run and keep its best solution."""
        with self._lock:
            current = self._current
        if current is not None and current[0] == run_id:
            self._call(current[1].stop())

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def cancel(self, run_id: int) -> None:
        """Kill the run."""
        with self._lock:
            current = self._current
            if current is None or current[0] != run_id:
                self._cancelled.add(run_id)
                return
        self._call(current[1].cancel())

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Kill every child; the actor can end after that."""
        self._call(self._executor.close())
        shutil.rmtree(self._folder, ignore_errors=True)

    def _progress(self, execution: Execution) -> Iterator[Json]:
        items: queue.SimpleQueue[Json | None] = queue.SimpleQueue()

        async def listen() -> None:
            try:
                async for progress in execution.events():
                    data = {
                        "event": progress.type.value,
                        "data": dict(progress.data),
                        "elapsed_s": progress.elapsed_s,
                    }
                    items.put({"type": "progress", **data})
            finally:
                items.put(None)

        listening = asyncio.run_coroutine_threadsafe(listen(), self._loop)
        unsent, next_at = False, -float("inf")
        while True:
            try:
                item = items.get(timeout=BEAT_S)
            except queue.Empty:
                # Reports both that the actor is alive and since when its child is silent.
                yield {"type": "beat", "silent_s": execution.silent_s}
            else:
                if item is None:
                    listening.result()
                    return
                yield item
                unsent = unsent or item.get("event") == EventType.INCUMBENT.value
            if unsent and time.monotonic() >= next_at:
                began, unsent = time.monotonic(), False
                if (data := self._call(execution.checkpoint())) is not None:
                    yield {"type": "checkpoint", "data": base64.b64encode(data).decode()}
                # Sending a large checkpoint is slow: it takes at most a tenth of the time.
                next_at = began + max(CHECKPOINT_S, 10 * (time.monotonic() - began))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _write_inputs(
    folder: Path, names: Mapping[str, str], contents: Sequence[bytes]
) -> dict[str, Path]:
    paths = {}
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        paths[name] = folder / str(number)
        paths[name].write_bytes(content)
    return paths


def _remove_leftovers() -> None:
    """Remove the folders that killed actors left on this node."""
    for folder in Path(tempfile.gettempdir()).glob(_FOLDER + "*"):
        pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def make_worker(name: str, *, sandbox: str, preload: Sequence[str]) -> Any:
    """Create the actor. It ends with its creator, because nobody else waits for its runs."""
    options = {
        "name": name,
        "num_cpus": 1,
        # Ray must not repeat a call: that would be a second run of an attempt, without a lease.
        "max_task_retries": 0,
        "max_restarts": -1,
        "scheduling_strategy": "SPREAD",
        "concurrency_groups": {"run": 1, "control": 8},
    }
    return ray.remote(**options)(RayWorker).remote(sandbox=sandbox, preload=list(preload))
