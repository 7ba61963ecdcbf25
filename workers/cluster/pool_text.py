"""`TextBackend` of a dispatcher with executor `ray`: its calls go through the Ray host process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from search.text_model import (
    Capabilities,
    Ended,
    ModelUnavailable,
    TextRequest,
    Token,
)
from workers.llm.calls import TextCalls, capabilities_over, score_over
from workers.wire import Json


class PoolText:
    """A `TextBackend` over the host process, which asks the model's actor."""

    def __init__(self, send: Callable[[Json], None], *, model: str) -> None:
        self._send = send
        self._calls = TextCalls(send)
        self._state: Json = {"model": model, "state": "starting", "reason": ""}
        self._lost = ""  # why no frame reaches the host now

    async def open(self) -> None:
        """Do nothing: the executor starts the host."""

    async def close(self) -> None:
        """End every call."""
        self.lose("the server is closing")

    def describe(self) -> Mapping[str, Any]:
        """Return the state that the host last sent."""
        return self._state

    def update(self, state: Json) -> None:
        """Take a state from the host."""
        self._state, self._lost = state, ""

    def deliver(self, frame: Json) -> None:
        """Take an answer from the host."""
        self._calls.deliver(frame)

    def lose(self, why: str) -> None:
        """End every call: the host is gone. The next one numbers its calls anew."""
        calls, self._calls = self._calls, TextCalls(self._send)
        self._state = {**self._state, "state": "restarting", "reason": why}
        self._lost = why
        calls.lose(why)

    async def capabilities(self) -> Capabilities:
        """Wait until the model is loaded, and say what it can do. Raises ModelUnavailable."""
        self._check()
        return await capabilities_over(self._calls)

    async def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        owner: str = "",
        deadline_s: float | None = None,
    ) -> AsyncGenerator[Token, None]:
        """Yield tokens as they come. Closing the generator cancels the call."""
        self._check()
        stream = self._calls.generate(request, ended, deadline_s=deadline_s, owner=owner)
        async with aclosing(stream) as tokens:
            async for token in tokens:
                yield token

    async def score(
        self, prompt: str, continuations: Sequence[str], *, owner: str = ""
    ) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats."""
        self._check()
        return await score_over(self._calls, prompt, continuations, owner=owner)

    async def tokenize(self, text: str, *, owner: str = "") -> list[int]:
        """Return ids of a text."""
        self._check()
        tokens = await self._calls.value("tokenize", text=text, owner=owner)
        return [int(token) for token in tokens]

    def _check(self) -> None:
        if self._lost:
            raise ModelUnavailable(self._lost)
