"""`/v1/chat/completions`, `/v1/completions` and `/v1/models`: OpenAI's API of a language model."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Request
from pydantic import ValidationError
from starlette.responses import Response

from search.text_model import Capabilities
from services.errors import BadRequest, InvalidBody, NotFound
from services.gateway.bodies import json_body
from services.gateway.deps import Context, Ctx, Submitter, Viewer
from services.gateway.problems import documented, from_validation
from services.gateway.routes.jobs import IdempotencyKey, checked_key
from services.gateway.text import generating
from services.gateway.text.answers import Answer, ChatAnswer, Choice, CompletionAnswer
from services.gateway.text.generating import Plan
from services.gateway.text.requests import ChatRequest, CompletionRequest
from services.gateway.text.responding import Turn
from services.gateway.views import FastJson

router = APIRouter(prefix="/v1", tags=["language models"])
R = TypeVar("R", ChatRequest, CompletionRequest)
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream`, chunks as server-sent events, `[DONE]` last",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    },
    **documented(400, 404, 409, 413, 415, 503),
}


@router.post(
    "/chat/completions",
    responses=_STREAMED,
    openapi_extra={"requestBody": "ChatRequest"},
    summary="Answer a conversation",
)
async def create_chat_completion(
    request: Request,
    ctx: Ctx,
    principal: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """As OpenAI's API. `usage.kv` says what the model's cache forgot."""
    body = await json_body(request)
    parsed = _parsed(ChatRequest, body)

    def answer(plan: Plan) -> Answer:
        return ChatAnswer(
            model=plan.model,
            choices=[Choice() for _ in plan.requests],
            prompts=1,
            logprobs=bool(parsed.logprobs),
        )

    turn = Turn(request, ctx, principal, checked_key(idempotency_key), body)
    return await turn.respond(parsed, answer)


@router.post(
    "/completions",
    responses=_STREAMED,
    openapi_extra={"requestBody": "CompletionRequest"},
    summary="Continue a text",
)
async def create_completion(
    request: Request,
    ctx: Ctx,
    principal: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """As OpenAI's older API: no chat template is put around the text."""
    body = await json_body(request)
    parsed = _parsed(CompletionRequest, body)

    def answer(plan: Plan) -> Answer:
        return CompletionAnswer(
            model=plan.model,
            choices=[Choice() for _ in plan.requests],
            prompts=len(parsed.texts),
            logprobs=parsed.logprobs is not None,
        )

    turn = Turn(request, ctx, principal, checked_key(idempotency_key), body)
    return await turn.respond(parsed, answer)


@router.get(
    "/models",
    responses={
        200: {
            "description": "The models of this server: one, or none",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **documented(503),
    },
    summary="List the language models",
)
async def list_models(ctx: Ctx, principal: Viewer) -> Response:
    """As OpenAI's API; `trimtab` has the context, the capabilities and the state."""
    models = []
    if ctx.pool.text is not None:
        about = await generating.capabilities_of(ctx.pool.text)
        models.append(_view(ctx, about))
    return FastJson({"object": "list", "data": models})


@router.get(
    "/models/{model}",
    responses={
        200: {
            "description": "The model",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **documented(404, 503),
    },
    summary="Get a language model",
)
async def get_model(
    model: Annotated[str, Path(description="name of the model")],
    ctx: Ctx,
    principal: Viewer,
) -> Response:
    """As OpenAI's API."""
    backend = generating.backend_of(ctx)
    about = await generating.capabilities_of(backend)
    found = _view(ctx, about)
    if model not in generating.names_of(ctx, about):
        raise NotFound(
            f"model: expected {found['id']!r}, got {model[:100]!r}",
            fix="list the models: GET /v1/models",
            code="model_not_found",
        )
    return FastJson(found)


def _view(ctx: Context, about: Capabilities) -> dict[str, Any]:
    return {
        "id": about.name,
        "object": "model",
        "created": 0,
        "owned_by": "trimtab",
        "trimtab": {
            "configured": ctx.settings.text_model.partition(":")[0],
            "context_tokens": about.context_tokens,
            "logprobs": about.logprobs,
            "grammar": about.grammar,
            "local": about.local,
            "streams": about.streams,
            "details": dict(about.details),
        },
    }


def _parsed(model: type[R], body: bytes) -> R:
    """Parse a request. Raises BadRequest, as OpenAI's API answers 400 to an invalid field."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problem = from_validation(error)
        if not isinstance(problem, InvalidBody):
            raise problem from error
        raise BadRequest(
            problem.detail, errors=problem.errors, fix="see /docs for the fields"
        ) from error
