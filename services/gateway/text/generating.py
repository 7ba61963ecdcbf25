"""Run the generations of one request: quota, choices side by side, errors, metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from search.text_model import (
    Capabilities,
    Ended,
    ModelBusy,
    ModelUnavailable,
    PromptTooLong,
    TextModelError,
    TextRequest,
    Token,
)
from services.errors import (
    BadRequest,
    ModelOffline,
    NotFound,
    PayloadTooLarge,
    ServiceError,
    TooManyRequests,
    field_error,
)
from services.gateway.auth import Principal
from services.gateway.deps import Context
from services.gateway.text.requests import GenerationRequest, default_tokens, prompt_bytes
from workers.types import TextBackend

NO_MODEL = (
    "start the server with TRIMTAB_TEXT_MODEL=embedded (a small model from a Python package), "
    "checkpoint:/folder or openai:URL; `trimtab doctor` says what is installed"
)
DEFAULT = "default"  # the model of this server, whatever its name
LIMIT = "text_tokens"  # category of the rate limiter
_WAITING = 64  # parts that a slow client leaves here before the model's window fills


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request that was accepted: what to generate, and the quota that it holds."""

    backend: TextBackend
    model: str
    requests: Sequence[TextRequest]
    held: int  # tokens taken from the quota


@dataclass(frozen=True, kw_only=True)
class Part:
    """A token of a choice, or its end."""

    choice: int
    token: Token | None  # None: the choice has ended


def backend_of(context: Context) -> TextBackend:
    """Return the model of this server. Raises NotFound with the remedy when there is none."""
    backend = context.pool.text
    if backend is None:
        raise NotFound(
            "model: expected a language model on this server, got none",
            fix=NO_MODEL,
            code="model_not_found",
        )
    return backend


async def capabilities_of(backend: TextBackend) -> Capabilities:
    """Return what the model can do, once it is loaded. Raises ModelOffline."""
    try:
        return await backend.capabilities()
    except TextModelError as error:
        raise service_error(error) from error


def names_of(context: Context, about: Capabilities) -> tuple[str, ...]:
    """Return the names that requests may use for the model: its own, and two that never change."""
    return (about.name, context.settings.text_model, DEFAULT)


async def plan(
    context: Context, principal: Principal, request: GenerationRequest
) -> Plan:
    """Check a request against the model, the limits and the quota of the caller's key.

    Raises NotFound, ModelOffline, BadRequest, PayloadTooLarge or TooManyRequests.
    """
    backend = backend_of(context)
    about = await capabilities_of(backend)
    if request.model not in names_of(context, about):
        raise NotFound(
            f"model: expected {about.name!r}, got {request.model[:100]!r}",
            errors=[field_error("model", got=request.model[:100], expected=about.name)],
            fix="list the models: GET /v1/models",
            code="model_not_found",
        )
    settings = context.settings
    size = prompt_bytes(request.texts)
    if size > settings.text_max_prompt_bytes:
        raise PayloadTooLarge(
            f"prompt: expected at most {settings.text_max_prompt_bytes} bytes, got {size}",
            fix="shorten the messages",
            code="context_length_exceeded",
        )
    limit = settings.text_max_tokens
    asked = request.limit
    if asked is not None and asked > limit:
        raise BadRequest(
            f"max_tokens: expected at most {limit} on this server, got {asked}",
            errors=[field_error("max_tokens", got=asked, expected=f"at most {limit}")],
            fix="ask for less, or ask the operator to raise TRIMTAB_TEXT_MAX_TOKENS",
        )
    requests = request.text_requests(asked or default_tokens(limit, about))
    held = sum(one.sampling.max_tokens for one in requests)
    context.limiter.take(
        principal.key_id, LIMIT, per_minute=per_minute(context, principal), count=held
    )
    return Plan(backend=backend, model=about.name, requests=requests, held=held)


def per_minute(context: Context, principal: Principal) -> int:
    """Return the tokens that the caller's key may use per minute."""
    default = context.settings.text_tokens_per_minute
    return principal.limits.get("text_tokens_per_minute", default)


async def run(
    context: Context, principal: Principal, plan: Plan, ends: Sequence[Ended]
) -> AsyncGenerator[Part, None]:
    """Generate every choice of a plan side by side, and yield their tokens as they come.

    `ends` are filled, one for each choice. What the plan held of the quota is settled at the
    end. Closing the generator cancels. Raises ServiceError.
    """
    began = time.perf_counter()
    parts: asyncio.Queue[Part | Exception] = asyncio.Queue(_WAITING)
    tasks = [
        asyncio.create_task(_generate(context, principal, plan, choice, ended, parts))
        for choice, ended in enumerate(ends)
    ]
    left, first = len(tasks), True
    try:
        while left:
            part = await parts.get()
            if isinstance(part, Exception):
                raise part
            if part.token is None:
                left -= 1
            elif first:
                first = False
                context.metrics.text_first_token.observe(time.perf_counter() - began)
            yield part
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _account(context, principal, plan, ends, whole=not left)


async def _generate(
    context: Context,
    principal: Principal,
    plan: Plan,
    choice: int,
    ended: Ended,
    parts: asyncio.Queue[Part | Exception],
) -> None:
    """Put the tokens of one choice into the queue, then its end or its error."""
    try:
        stream = plan.backend.generate(
            plan.requests[choice],
            ended,
            owner=principal.key_id,
            deadline_s=context.settings.text_deadline_s,
        )
        async with aclosing(stream) as tokens:
            async for token in tokens:
                await parts.put(Part(choice=choice, token=token))
    except TextModelError as error:
        await parts.put(service_error(error))
    except Exception as error:
        await parts.put(error)
    else:
        await parts.put(Part(choice=choice, token=None))


def _account(
    context: Context,
    principal: Principal,
    plan: Plan,
    ends: Sequence[Ended],
    *,
    whole: bool,
) -> None:
    """Return unused tokens to the quota, and count what was used."""
    prompt = generated = 0
    for ended in ends:
        if ended.usage is not None:
            generated += ended.usage.completion_tokens
            prompt += ended.usage.prompt_tokens - ended.usage.cached_tokens
            context.metrics.text_tokens.labels("cached").inc(ended.usage.cached_tokens)
            context.metrics.text_tokens.labels("evicted").inc(ended.usage.evicted_tokens)
        end = "broken" if ended.finish is None else ended.finish.value
        context.metrics.text_generations.labels(end if whole else "broken").inc()
    context.metrics.text_tokens.labels("prompt").inc(prompt)
    context.metrics.text_tokens.labels("generated").inc(generated)
    # A generation that was cut off reports no usage: what it held stays taken.
    if whole:
        context.limiter.give_back(
            principal.key_id,
            LIMIT,
            per_minute=per_minute(context, principal),
            count=plan.held - generated - prompt,
        )


def service_error(error: TextModelError) -> ServiceError:
    """Return an error of a model as one of the service."""
    match error:
        case PromptTooLong():
            return PayloadTooLarge(
                str(error),
                errors=[{"path": "messages", "message": str(error)}],
                fix="shorten the messages, or ask for a smaller max_tokens",
                code="context_length_exceeded",
            )
        case ModelBusy():
            return TooManyRequests(str(error), retry_after_s=2.0, code="model_busy")
        case ModelUnavailable():
            return ModelOffline(
                str(error),
                fix="`trimtab doctor` on the server says what is installed",
                retry_after_s=2.0,
            )
        case _:
            return BadRequest(str(error))
