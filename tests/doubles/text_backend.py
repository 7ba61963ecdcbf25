"""A `TextBackend` over a model in this process: the real calls and threads, without a child."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from search.text_model import (
    Capabilities,
    Ended,
    ModelUnavailable,
    TextModel,
    TextRequest,
    Token,
)
from tests.doubles.text_model import EchoModel
from workers.llm import wire
from workers.llm.calls import TextCalls, score_over
from workers.llm.serving import TextServer


class InProcessBackend:
    """Serves a model from threads of this process. `broken` refuses every call, with the reason."""

    def __init__(self, model: TextModel | None = None, *, broken: str = "") -> None:
        self._model = model or EchoModel()
        self.broken = broken
        self.requests: list[TextRequest] = []
        self.owners: list[str] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()

        def to_caller(frame: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(self._calls.deliver, frame)

        self._server = TextServer(self._model, to_caller)
        self._calls = TextCalls(self._server.handle)

    async def close(self) -> None:
        await asyncio.to_thread(self._server.close)

    def describe(self) -> Mapping[str, Any]:
        return {
            "model": "embedded",
            "state": "failed" if self.broken else "ready",
            "reason": self.broken,
            "capabilities": wire.capabilities_to_json(self._model.capabilities),
            "active": self._calls.active,
            "waiting": 0,
            "starts": 1,
        }

    async def capabilities(self) -> Capabilities:
        self._check()
        return self._model.capabilities

    async def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        owner: str = "",
        deadline_s: float | None = None,
    ) -> AsyncGenerator[Token, None]:
        self._check()
        self.requests.append(request)
        self.owners.append(owner)
        stream = self._calls.generate(request, ended, deadline_s=deadline_s)
        try:
            async for token in stream:
                yield token
        finally:
            await stream.aclose()

    async def score(
        self, prompt: str, continuations: Sequence[str], *, owner: str = ""
    ) -> list[float]:
        return await score_over(self._calls, prompt, continuations)

    async def tokenize(self, text: str, *, owner: str = "") -> list[int]:
        return list(await self._calls.value("tokenize", text=text))

    def _check(self) -> None:
        if self.broken:
            raise ModelUnavailable(self.broken)
