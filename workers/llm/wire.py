"""Frames of calls to a hosted model, and the JSON of requests, tokens and ends.

A caller and a host exchange them over any connection that carries frames
(`workers.process.frames`): the pipe of the model's process, that of a run, that of a Ray host.

caller → host   text (a call), text_credit (tokens it can take), text_cancel
host → caller   text_token, text_value, text_ended, text_failed

`call` numbers the calls of one connection. A host sends at most `WINDOW` tokens of a call beyond
those that its caller has credited, so a slow reader holds up its own generation only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from search.condition import Condition
from search.text_model import (
    CacheBudget,
    CachePolicy,
    Capabilities,
    Ended,
    Finish,
    Grammar,
    Message,
    ModelBusy,
    ModelUnavailable,
    PromptTooLong,
    Sampling,
    ScoreRule,
    TextModelError,
    TextRequest,
    Token,
    Usage,
)

Json = dict[str, Any]
WINDOW = 256
"""Tokens of a call that may be on their way."""
CALLS = frozenset({"text", "text_credit", "text_cancel"})
ANSWERS = frozenset({"text_token", "text_value", "text_ended", "text_failed"})
_ERRORS: Mapping[str, type[TextModelError]] = {
    kind.__name__: kind
    for kind in (PromptTooLong, ModelUnavailable, ModelBusy, TextModelError)
}


def request_to_json(request: TextRequest) -> Json:
    """Return a request as JSON. Raises TextModelError for what JSON cannot express."""
    sampling = request.sampling
    for name in ("temperature", "top_p", "min_p"):
        if not math.isfinite(getattr(sampling, name)):
            raise TextModelError(
                f"sampling.{name}: expected a finite number, got {getattr(sampling, name)}"
            )
    for number, condition in enumerate(request.control):
        if not math.isfinite(condition.strength):
            raise TextModelError(
                f"control[{number}].strength: expected a finite number, got {condition.strength}"
            )
    held = (condition.text for condition in request.control)
    spoken = (message.text for message in request.messages)
    for text in (request.prompt or "", *spoken, *held):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TextModelError(
                "prompt: expected valid Unicode text, got a lone surrogate; remove it"
            ) from error
    return asdict(request)


def request_from_json(body: Mapping[str, Any]) -> TextRequest:
    """Read a request. Raises TextModelError for one that is not as `request_to_json` writes it."""
    try:
        sampling = {**body["sampling"], "stop": tuple(body["sampling"]["stop"])}
        cache = body["cache"]
        return TextRequest(
            messages=tuple(Message(**message) for message in body["messages"]),
            prompt=body["prompt"],
            sampling=Sampling(**sampling),
            grammar=None if body["grammar"] is None else _grammar(body["grammar"]),
            cache=None if cache is None else _cache(cache),
            control=tuple(_condition(condition) for condition in body["control"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TextModelError(
            f"request: expected the fields of a text request, got a fault: {error}"
        ) from error


def _grammar(body: Mapping[str, Any]) -> Grammar:
    grammar = Grammar(**body)
    if grammar.choices is None:
        return grammar
    return replace(grammar, choices=tuple(grammar.choices))


def _condition(body: Mapping[str, Any]) -> Condition:
    return Condition(text=str(body["text"]), strength=float(body["strength"]))


def _cache(body: Mapping[str, Any]) -> CacheBudget:
    chosen = {"policy": CachePolicy(body["policy"]), "score": ScoreRule(body["score"])}
    return CacheBudget(**{**body, **chosen})


def token_to_json(token: Token) -> list[Any]:
    """Return a token as a short list: id, text, log-probability, alternatives."""
    return [token.id, token.text, token.logprob, token.top]


def token_from_json(body: Any) -> Token:
    """Read a token."""
    number, text, logprob, top = body
    return Token(
        id=int(number),
        text=str(text),
        logprob=logprob,
        top=tuple((str(word), float(value)) for word, value in top),
    )


def ended_to_json(ended: Ended) -> Json:
    """Return the end of a generation as JSON."""
    usage = None if ended.usage is None else asdict(ended.usage)
    return {"finish": ended.finish, "usage": usage}


def read_ended(body: Mapping[str, Any], ended: Ended) -> None:
    """Fill `ended` from JSON."""
    ended.finish = None if body["finish"] is None else Finish(body["finish"])
    ended.usage = None if body["usage"] is None else Usage(**body["usage"])


def capabilities_to_json(capabilities: Capabilities) -> Json:
    """Return capabilities as JSON."""
    return {**asdict(capabilities), "details": dict(capabilities.details)}


def capabilities_from_json(body: Mapping[str, Any]) -> Capabilities:
    """Read capabilities."""
    return Capabilities(**body)


def failure_to_json(error: Exception) -> Json:
    """Return an error as JSON: a TextModelError by its class, others as a fault of the model."""
    if isinstance(error, TextModelError):
        names = (kind.__name__ for kind in type(error).__mro__)
        return {
            "error": next(name for name in names if name in _ERRORS),
            "message": str(error)[:2000],
        }
    return {
        "error": "ModelUnavailable",
        "message": f"the model failed: {type(error).__name__}: {error}"[:2000],
    }


def failure_from_json(body: Mapping[str, Any]) -> TextModelError:
    """Return the error of a `text_failed` frame."""
    return _ERRORS.get(str(body["error"]), TextModelError)(str(body["message"]))
