"""Both ends of a connection of frames on an event loop: `TextCalls` asks, `TextRelay` answers."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from search.text_model import (
    Capabilities,
    Ended,
    Finish,
    ModelBusy,
    ModelUnavailable,
    TextModelError,
    TextRequest,
    Token,
    Usage,
)
from workers.llm import wire
from workers.llm.streamed import Streamed
from workers.llm.wire import Json
from workers.types import TextBackend

MAX_CALLS = 64
"""Calls of one connection at once: a flood of a hostile run must not fill our memory."""


class TextCalls:
    """Calls over one connection to a host of a model.

    Args:
        send: Queues a frame; never blocks.
    """

    def __init__(self, send: Callable[[Json], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[Json]] = {}
        self._lost = ""

    @property
    def active(self) -> int:
        """Calls that have not ended."""
        return len(self._answers)

    def deliver(self, frame: Json) -> None:
        """Take a frame of the host."""
        answers = self._answers.get(int(frame["call"]))
        if answers is None:
            return
        # An honest host keeps to the window; one that does not must not fill our memory.
        if answers.qsize() > 4 * wire.WINDOW:
            raise ValueError(
                f"text_token: expected at most {wire.WINDOW} beyond the credit of call "
                f"{frame['call']}, got more"
            )
        answers.put_nowait(frame)

    def lose(self, why: str) -> None:
        """End every call with ModelUnavailable, and refuse new ones."""
        self._lost = why
        for number, answers in self._answers.items():
            failed = {"type": "text_failed", "error": "ModelUnavailable", "message": why}
            answers.put_nowait({**failed, "call": number})

    async def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        deadline_s: float | None = None,
        owner: str = "",
    ) -> AsyncGenerator[Token, None]:
        """Yield tokens as they come; `ended` is complete when the stream is exhausted.

        Closing the generator cancels the call. Raises TextModelError.
        """
        body: Json = {"method": "generate", "request": wire.request_to_json(request)}
        number, answers = self._begin({**body, "deadline_s": deadline_s, "owner": owner})
        streamed = Streamed(number, ended, self._send)
        try:
            while (token := streamed.take(await answers.get())) is not None:
                yield token
        finally:
            del self._answers[number]
            streamed.cancel()

    async def value(self, method: str, **fields: Any) -> Any:
        """Return the value of a call that is not streamed. Raises TextModelError."""
        number, answers = self._begin({"method": method, **fields})
        over = False
        try:
            frame = await answers.get()
            over = True
        finally:
            del self._answers[number]
            if not over:
                self._send({"type": "text_cancel", "call": number})
        if frame["type"] != "text_value":
            raise wire.failure_from_json(frame)
        return frame["value"]

    def _begin(self, body: Json) -> tuple[int, asyncio.Queue[Json]]:
        if self._lost:
            raise ModelUnavailable(self._lost)
        number = next(self._numbers)
        answers: asyncio.Queue[Json] = asyncio.Queue()
        self._answers[number] = answers
        self._send({"type": "text", "call": number, **body})
        return number, answers


class TextRelay:
    """Answers the calls of one connection from a backend.

    Args:
        backend: The model. None: every call is refused, with the remedy.
        send: Queues a frame; never blocks.
        owner: Whose calls these are, for the backend's queue. None: as each call says, of a
            connection that is trusted.
    """

    def __init__(
        self,
        backend: TextBackend | None,
        send: Callable[[Json], None],
        *,
        owner: str | None,
    ) -> None:
        self._backend = backend
        self._send = send
        self._owner = owner
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, _Credit] = {}

    def handle(self, frame: Json) -> None:
        """Take a frame of the caller. Raises KeyError or ValueError for a malformed one."""
        number = int(frame["call"])
        match frame["type"]:
            case "text":
                if number in self._tasks:
                    raise ValueError(f"call: expected a new number, got {number}")
                if len(self._tasks) >= MAX_CALLS:
                    busy = ModelBusy(
                        f"calls: expected at most {MAX_CALLS} at once, got more; wait for some"
                    )
                    failed = wire.failure_to_json(busy)
                    self._send({"type": "text_failed", "call": number, **failed})
                    return
                self._credits[number] = _Credit()
                self._tasks[number] = asyncio.create_task(self._serve(number, frame))
            case "text_credit":
                if credit := self._credits.get(number):
                    credit.add(int(frame["tokens"]))
            case "text_cancel":
                if task := self._tasks.get(number):
                    task.cancel()
            case other:
                raise ValueError(f"frame: expected one of a caller, got {other!r}")

    async def close(self) -> None:
        """Cancel every call."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, number: int, frame: Json) -> None:
        try:
            if self._backend is None:
                raise ModelUnavailable(
                    "text_model: expected a language model on this server, got none; the "
                    "operator sets TRIMTAB_TEXT_MODEL, e.g. embedded"
                )
            if frame["method"] == "generate":
                await self._generate(self._backend, number, frame)
            else:
                value = await self._value(self._backend, frame)
                self._send({"type": "text_value", "call": number, "value": value})
        except asyncio.CancelledError:
            usage = Usage(prompt_tokens=0, completion_tokens=self._credits[number].taken)
            ended = Ended(finish=Finish.CANCELLED, usage=usage)
            body = wire.ended_to_json(ended)
            self._send({"type": "text_ended", "call": number, **body})
        except Exception as error:
            failed = wire.failure_to_json(error)
            self._send({"type": "text_failed", "call": number, **failed})
        finally:
            del self._tasks[number], self._credits[number]

    async def _generate(self, backend: TextBackend, number: int, frame: Json) -> None:
        request, ended = wire.request_from_json(frame["request"]), Ended()
        deadline_s = frame.get("deadline_s")
        stream = backend.generate(
            request,
            ended,
            owner=self._owner_of(frame),
            deadline_s=None if deadline_s is None else positive_seconds(deadline_s),
        )
        async with aclosing(stream) as tokens:
            async for token in tokens:
                await self._credits[number].take()
                body = wire.token_to_json(token)
                self._send({"type": "text_token", "call": number, "token": body})
        self._send({"type": "text_ended", "call": number, **wire.ended_to_json(ended)})

    def _owner_of(self, frame: Json) -> str:
        return str(frame.get("owner", "")) if self._owner is None else self._owner

    async def _value(self, backend: TextBackend, frame: Json) -> Any:
        owner = self._owner_of(frame)
        match frame["method"]:
            case "score":
                continuations = [str(text) for text in frame["continuations"]]
                prompt = str(frame["prompt"])
                return await backend.score(prompt, continuations, owner=owner)
            case "tokenize":
                return await backend.tokenize(str(frame["text"]), owner=owner)
            case "capabilities":
                return wire.capabilities_to_json(await backend.capabilities())
            case other:
                raise TextModelError(
                    "method: expected generate, score, tokenize or capabilities, got "
                    f"{str(other)[:40]!r}"
                )


class _Credit:
    """Tokens that a caller can take now."""

    def __init__(self) -> None:
        self._left = wire.WINDOW
        self.taken = 0
        self._more = asyncio.Event()

    def add(self, tokens: int) -> None:
        self._left += tokens
        self._more.set()

    async def take(self) -> None:
        while self._left < 1:
            self._more.clear()
            await self._more.wait()
        self._left -= 1
        self.taken += 1


def positive_seconds(value: Any) -> float:
    """Return a deadline. Raises TextModelError unless it is a number above zero."""
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise TextModelError(
            f"deadline_s: expected a number of seconds above 0, got {value!r}"
        )
    return float(value)


async def capabilities_over(calls: TextCalls) -> Capabilities:
    """Ask the host what its model can do."""
    return wire.capabilities_from_json(await calls.value("capabilities"))


async def score_over(
    calls: TextCalls, prompt: str, continuations: Sequence[str], *, owner: str = ""
) -> list[float]:
    """Ask the host for the log-probabilities of continuations."""
    fields = {"prompt": prompt, "continuations": list(continuations), "owner": owner}
    value = await calls.value("score", **fields)
    return [float(number) for number in value]
