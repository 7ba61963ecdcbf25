"""Respond to one request: whole or as a stream, with idempotency, cancelled with its client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import orjson
import structlog
from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.errors import BadRequest, ModelOffline, ServiceError
from services.gateway.auth import Principal
from services.gateway.deps import Context
from services.gateway.problems import openai_error
from services.gateway.text import generating
from services.gateway.text.answers import DONE, Answer, event
from services.gateway.text.generating import Part, Plan
from services.gateway.text.requests import GenerationRequest
from services.gateway.watch import Watch

log = structlog.get_logger("trimtab.text")
KEEP_ALIVE_S = 10.0
FIRST_S = 10.0
"""How long a stream waits for its first token, so that an error before it has its own status."""
_LOOK_S = 0.25  # between two looks whether the client is still there


class Turn:
    """One request and its response."""

    def __init__(
        self,
        request: Request,
        ctx: Context,
        principal: Principal,
        key: str | None,
        body: bytes,
    ) -> None:
        self._request = request
        self._ctx = ctx
        self._principal = principal
        self._key = key
        # The route is part of what a key stands for.
        self._asked = request.url.path.encode() + b"\n" + body
        self._streaming = False
        self._watch = Watch(ctx, principal)

    async def respond(
        self, parsed: GenerationRequest, answer_of: Callable[[Plan], Answer]
    ) -> Response:
        """Answer whole or as a stream; a repeated request gets its first answer."""
        media = "text/event-stream" if parsed.stream else "application/json"
        tenant = self._principal.tenant
        if self._key is not None:
            # A request that is refused here is forgotten below: nothing of it was answered.
            kept = self._ctx.replays.begin(tenant, self._key, self._asked)
            if kept is not None:
                headers = {"Idempotency-Replayed": "true"}
                return Response(kept, media_type=media, headers=headers)
        try:
            # It waits for a model that is still being loaded.
            planning = asyncio.create_task(
                generating.plan(self._ctx, self._principal, parsed)
            )
            await self._while_connected(planning)
            plan = planning.result()
            answer = answer_of(plan)
            ends = [choice.ended for choice in answer.choices]
            parts = generating.run(self._ctx, self._principal, plan, ends)
            if parsed.stream:
                return await self._stream(parsed, answer, parts)
            return await self._whole(answer, parts)
        except BaseException:
            self._forget()
            raise

    async def _whole(self, answer: Answer, parts: Any) -> Response:
        async def collect() -> None:
            async with aclosing(parts) as stream:
                async for part in stream:
                    if part.token is not None:
                        answer.choices[part.choice].add(part.token, keep=answer.logprobs)

        await self._while_connected(asyncio.create_task(collect()))
        body = orjson.dumps(answer.body())
        self._keep(body)
        return Response(body, media_type="application/json", headers=self._headers())

    async def _stream(
        self, parsed: GenerationRequest, answer: Answer, parts: Any
    ) -> Response:
        first = asyncio.create_task(anext(parts))
        try:
            await self._while_connected(first, timeout_s=FIRST_S)
        except BaseException:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await parts.aclose()
            raise
        options = parsed.stream_options
        usage = options is not None and options.include_usage

        async def close() -> None:
            if self._streaming:
                return  # `_chunks` closes what it began
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await parts.aclose()
            self._forget()

        return _ClosedStream(
            self._chunks(answer, first, parts, usage=usage),
            close=close,
            headers={**self._headers(), "X-Accel-Buffering": "no"},
        )

    async def _chunks(
        self, answer: Answer, first: asyncio.Task[Part], parts: Any, *, usage: bool
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of a stream; a client that goes away cancels the generation."""
        sent: list[bytes] = []  # for a repeated request, when there is a key
        coming = first
        self._streaming = True
        try:
            yield _kept(sent, answer.first_chunks())
            while True:
                async for ping in self._wait_for(coming):
                    yield ping
                try:
                    part = coming.result()
                except StopAsyncIteration:
                    break
                coming = asyncio.create_task(anext(parts))
                if part.token is None:
                    yield _kept(sent, answer.last_chunk(part.choice))
                elif part.token.text or answer.logprobs:
                    yield _kept(sent, answer.chunk(part.choice, part.token))
            if usage:
                yield _kept(sent, answer.usage_chunk())
            yield _kept(sent, DONE)
            self._keep(b"".join(sent))
        except ServiceError as error:
            yield _error(error)
        except _Gone:
            pass
        except Exception as error:
            log.error("a generation failed", exc_info=error)
            yield _error(ServiceError("the server failed to generate; see its log"))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            await parts.aclose()
            self._forget()

    async def _wait_for(self, coming: asyncio.Task[Part]) -> AsyncIterator[bytes]:
        """Wait for the next part; yields comments that keep a quiet connection open.

        Raises _Gone when the client went away, ModelOffline when the server closes, and
        Unauthorized when the caller's key ends.
        """
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        await self._watch.check()
        while not coming.done():
            await asyncio.wait({coming}, timeout=_LOOK_S)
            if self._ctx.lifetime.closing:
                raise _closing()
            await self._watch.check()
            if not coming.done() and await self._request.is_disconnected():
                raise _Gone
            if loop.time() - quiet_since > KEEP_ALIVE_S:
                quiet_since = loop.time()
                yield b": keep-alive\n\n"

    async def _while_connected(
        self, work: asyncio.Task[Any], *, timeout_s: float | None = None
    ) -> None:
        """Wait for work, at most `timeout_s`; cancel it when client or server goes away.

        Raises the error of the work, or ModelOffline when the server closes.
        """
        loop = asyncio.get_running_loop()
        until = None if timeout_s is None else loop.time() + timeout_s
        try:
            while not work.done() and (until is None or loop.time() < until):
                await asyncio.wait({work}, timeout=_LOOK_S)
                await self._watch.check()
                if not work.done() and self._ctx.lifetime.closing:
                    raise _closing()
                if not work.done() and await self._request.is_disconnected():
                    raise BadRequest(
                        "the client went away before its answer was complete"
                    )
        except BaseException:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise
        if work.done():
            with contextlib.suppress(StopAsyncIteration):
                work.result()

    def _headers(self) -> dict[str, str]:
        return self._ctx.limiter.headers(
            self._principal.key_id,
            generating.LIMIT,
            per_minute=generating.per_minute(self._ctx, self._principal),
        )

    def _keep(self, answer: bytes) -> None:
        if self._key is not None:
            self._ctx.replays.keep(self._principal.tenant, self._key, answer)

    def _forget(self) -> None:
        """Forget the key of a request that was not answered in full."""
        if self._key is not None:
            self._ctx.replays.forget(self._principal.tenant, self._key)


def _closing() -> ModelOffline:
    return ModelOffline("the server is closing; send the request again", retry_after_s=2)


class _ClosedStream(StreamingResponse):
    """A stream whose source is closed also when no byte of it was ever sent.

    The cleanup of a generator does not run unless it was started, and a client may go away between
    the first token and the start of the response.
    """

    def __init__(
        self,
        content: AsyncIterator[bytes],
        *,
        close: Callable[[], Awaitable[None]],
        headers: dict[str, str],
    ) -> None:
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._close()


def _kept(sent: list[bytes], chunk: bytes) -> bytes:
    sent.append(chunk)
    return chunk


def _error(error: ServiceError) -> bytes:
    """Return the event of an error after the stream has begun; nothing follows it."""
    code = error.code or error.slug
    return event({"error": openai_error(error.status, code=code, message=error.detail)})


class _Gone(Exception):
    """The client of a stream went away."""
