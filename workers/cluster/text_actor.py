"""The language model on a Ray node: a named actor that keeps the model's process alive.

The process is the same sandboxed child as on one machine (`workers.process.text_host`). Calls to
the actor go to two concurrency groups, so that `cancel` never waits behind `generate`. Ray restarts
an actor that dies, without limit, and repeats none of its calls: a half-streamed answer ends with
an error, and whoever asked decides.
"""

from __future__ import annotations

import asyncio
import os
import queue
import random
import tempfile
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from search.text_model import (
    Capabilities,
    Ended,
    ModelUnavailable,
    TextRequest,
    Token,
)
from workers.llm import wire
from workers.llm.calls import TextRelay
from workers.process.text_host import OVERTIME_S, TextHost, TextOptions
from workers.wire import Json

NAME = "text-model"
_CREDIT_EVERY = wire.WINDOW // 2
_CALLS = 64  # threads of the actor: generations that run or wait
_VALUE_S = 180.0


class TextActor:
    """One hosted model. Only `RayTextBackend` calls its methods."""

    def __init__(self, options: Json) -> None:
        # One loop of our own, and not uvloop, whose children inherit Ray's files; see
        # workers.cluster.actor.
        asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="text", daemon=True).start()
        folder = Path(tempfile.mkdtemp(prefix="trimtab-ray-text-"))
        cache_dir = Path(options.pop("cache_dir") or folder / "cache")
        self._host = TextHost(
            TextOptions(**options, cache_dir=cache_dir), scratch_dir=folder / "text"
        )
        self._relays: dict[int, TextRelay] = {}
        asyncio.run_coroutine_threadsafe(self._host.open(), self._loop).result()

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def describe(self) -> Json:
        """Return the state of the model."""
        return {**self._host.describe(), "actor_pid": os.getpid()}

    @ray.method(concurrency_group="generate")  # type: ignore[untyped-decorator]
    def serve(self, call: Json, owner: str) -> Iterator[Json]:
        """Serve one call, and yield its frames; the last one is no `text_token`."""
        number, frames = int(call["call"]), queue.SimpleQueue[Json]()
        relay = TextRelay(self._host, frames.put, owner=owner)
        self._relays[number] = relay
        try:
            self._loop.call_soon_threadsafe(relay.handle, call)
            taken = 0
            while True:
                frame = frames.get()
                # Blocks while the caller takes nothing, by Ray's back-pressure.
                yield frame
                if frame["type"] != "text_token":
                    return
                taken += 1
                if taken % _CREDIT_EVERY == 0:
                    credit = {"type": "text_credit", "call": number}
                    self._handle(relay, {**credit, "tokens": _CREDIT_EVERY})
        finally:
            self._relays.pop(number, None)
            self._handle(relay, {"type": "text_cancel", "call": number})

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def cancel(self, number: int) -> None:
        """End a call."""
        if relay := self._relays.get(number):
            self._handle(relay, {"type": "text_cancel", "call": number})

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """End the model's process."""
        asyncio.run_coroutine_threadsafe(self._host.close(), self._loop).result()

    def _handle(self, relay: TextRelay, frame: Json) -> None:
        self._loop.call_soon_threadsafe(relay.handle, frame)


def make_text_actor(options: TextOptions, *, num_gpus: float = 0) -> Any:
    """Create the actor of a model. It ends with its creator."""
    chosen = {
        "name": NAME,
        "num_cpus": options.threads,
        "num_gpus": num_gpus,
        "max_restarts": -1,
        # Ray must not repeat a call: half an answer would come twice.
        "max_task_retries": 0,
        "concurrency_groups": {"generate": _CALLS, "control": 8},
    }
    body = {**asdict(options), "cache_dir": str(options.cache_dir)}
    return ray.remote(**chosen)(TextActor).remote(body)


class RayTextBackend:
    """A `TextBackend` over the actor: `actor`, or the one of the cluster's namespace by name."""

    def __init__(self, actor: Any = None) -> None:
        self._actor = actor
        self._state: Json = {"model": "", "state": "starting", "reason": ""}

    async def open(self) -> None:
        """Do nothing: the actor is created by the host."""

    async def close(self) -> None:
        """Do nothing: the actor ends with its creator."""

    def describe(self) -> Mapping[str, Any]:
        """Return what `refresh` has read."""
        return self._state

    async def refresh(self) -> Mapping[str, Any]:
        """Ask the actor for its state; an actor that does not answer is being restarted."""
        try:
            async with asyncio.timeout(5.0):
                self._state = await self._find().describe.remote()
        except (RayError, TimeoutError, ModelUnavailable) as error:
            reason = f"the actor does not answer: {error}"[:500]
            self._state = {**self._state, "state": "restarting", "reason": reason}
        return self._state

    async def capabilities(self) -> Capabilities:
        """Wait until the model is loaded, and say what it can do. Raises ModelUnavailable."""
        return wire.capabilities_from_json(await self._value("", "capabilities"))

    async def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        owner: str = "",
        deadline_s: float | None = None,
    ) -> AsyncGenerator[Token, None]:
        """Yield tokens as they come. Closing the generator cancels the call."""
        body = {
            "method": "generate",
            "request": wire.request_to_json(request),
            "deadline_s": deadline_s,
        }
        most_s = None if deadline_s is None else deadline_s + OVERTIME_S
        async for frame in self._frames(body, owner, most_s):
            if frame["type"] == "text_token":
                yield wire.token_from_json(frame["token"])
            elif frame["type"] == "text_ended":
                wire.read_ended(frame, ended)
            else:
                raise wire.failure_from_json(frame)

    async def score(
        self, prompt: str, continuations: Sequence[str], *, owner: str = ""
    ) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats."""
        fields = {"prompt": prompt, "continuations": list(continuations)}
        return [float(value) for value in await self._value(owner, "score", **fields)]

    async def tokenize(self, text: str, *, owner: str = "") -> list[int]:
        """Return ids of a text."""
        return [int(token) for token in await self._value(owner, "tokenize", text=text)]

    async def _value(self, owner: str, method: str, **fields: Any) -> Any:
        value = None
        async for frame in self._frames({"method": method, **fields}, owner, _VALUE_S):
            if frame["type"] != "text_value":
                raise wire.failure_from_json(frame)
            value = frame["value"]
        return value

    async def _frames(
        self, body: Json, owner: str, most_s: float | None
    ) -> AsyncGenerator[Json, None]:
        """Yield the frames of a call. Raises ModelUnavailable when the actor is lost."""
        actor = self._find()
        number = random.getrandbits(62)
        call = {"type": "text", "call": number, **body}
        stream = actor.serve.options(
            num_returns="streaming", _generator_backpressure_num_objects=wire.WINDOW
        ).remote(call, owner)
        until = None if most_s is None else asyncio.get_running_loop().time() + most_s
        over = False
        try:
            while True:
                try:
                    async with asyncio.timeout_at(until):
                        frame = await (await anext(stream))
                except StopAsyncIteration:
                    over = True
                    return
                except (RayError, TimeoutError) as error:
                    raise ModelUnavailable(
                        "the model's actor was lost and is restarted; send the request again: "
                        f"{type(error).__name__} {str(error)[:200]}"
                    ) from None
                over = frame["type"] != "text_token"
                yield frame
        finally:
            if not over:
                actor.cancel.remote(number)

    def _find(self) -> Any:
        if self._actor is None:
            try:
                self._actor = ray.get_actor(NAME)
            except ValueError:
                raise ModelUnavailable(
                    "text_model: expected a language model on this cluster, got none; the "
                    "operator sets TRIMTAB_TEXT_MODEL, e.g. embedded"
                ) from None
        return self._actor
