"""Answers in OpenAI's protocol, put together from events and checked before they are used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from search.text_model import Finish, ModelUnavailable, Token, Usage

Json = dict[str, Any]


class RemoteAnswer:
    """One answer, put together from its events."""

    def __init__(self, *, chat: bool) -> None:
        self._chat = chat
        self.text = ""
        self.finish: Finish | None = None
        self._usage: Mapping[str, Any] = {}
        self._tokens = 0

    def tokens(self, event: Json) -> Iterator[Token]:
        """Yield the tokens of one event. Raises ModelUnavailable."""
        if isinstance(event.get("usage"), Mapping):
            self._usage = event["usage"]
        choices = event.get("choices", [])
        if not isinstance(choices, list) or len(choices) > 1:
            raise _nonsense("`choices` with at most one entry")
        for choice in choices:
            if not isinstance(choice, Mapping):
                raise _nonsense("an object in `choices`")
            yield from self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Token]:
        delta = choice.get("delta") if self._chat else choice
        text = (
            delta.get("content" if self._chat else "text")
            if isinstance(delta, Mapping)
            else ""
        )
        if not isinstance(text, str | None):
            raise _nonsense("a text")
        logprobs = choice.get("logprobs")
        tokens = list(_chat_tokens(logprobs) if self._chat else _plain_tokens(logprobs))
        if "".join(token.text for token in tokens) != (text or ""):
            # Bytes of a character that is split, or no log-probabilities.
            one = Token(id=-1, text=text or "", logprob=None)
            tokens = [one] if text else []
        for token in tokens:
            self._tokens += 1
            self.text += token.text
            yield token
        reason = choice.get("finish_reason")
        if reason is not None:
            if reason not in ("stop", "length"):
                raise _nonsense("finish_reason stop or length")
            self.finish = Finish.STOP if reason == "stop" else Finish.LENGTH

    def usage(self) -> Usage:
        """Return the endpoint's figures, or what was counted here."""
        details = self._usage.get("prompt_tokens_details") or {}
        return Usage(
            prompt_tokens=_count(self._usage.get("prompt_tokens"), 0),
            completion_tokens=_count(self._usage.get("completion_tokens"), self._tokens),
            cached_tokens=_count(
                details.get("cached_tokens") if isinstance(details, Mapping) else None, 0
            ),
        )


def _nonsense(expected: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"text model: expected an answer in OpenAI's protocol with {expected}, got another; check "
        "the endpoint"
    )


def _count(value: Any, default: int) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if whole else default


def _logprob(value: Any) -> float | None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if real and math.isfinite(value) else None


def _chat_tokens(found: Any) -> Iterator[Token]:
    content = found.get("content") if isinstance(found, Mapping) else None
    for entry in content if isinstance(content, list) else ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("token"), str):
            raise _nonsense("tokens in `logprobs`")
        top = entry.get("top_logprobs")
        pairs = [
            (str(other.get("token")), _logprob(other.get("logprob")))
            for other in (top if isinstance(top, list) else ())
            if isinstance(other, Mapping)
        ]
        yield Token(
            id=-1,
            text=entry["token"],
            logprob=_logprob(entry.get("logprob")),
            top=tuple((text, value) for text, value in pairs if value is not None),
        )


def _plain_tokens(found: Any) -> Iterator[Token]:
    for i, (text, value) in enumerate(_pairs(found)):
        tops = found.get("top_logprobs")
        top = tops[i] if isinstance(tops, list) and i < len(tops) else None
        pairs = [
            (k, _logprob(v)) for k, v in (top.items() if isinstance(top, Mapping) else ())
        ]
        yield Token(
            id=-1,
            text=text,
            logprob=value,
            top=tuple((key, number) for key, number in pairs if number is not None),
        )


def _pairs(found: Any) -> list[tuple[str, float | None]]:
    """Return the tokens and log-probabilities of /completions."""
    if not isinstance(found, Mapping):
        return []
    tokens, values = found.get("tokens"), found.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(values, list):
        return []
    if len(tokens) != len(values) or not all(isinstance(token, str) for token in tokens):
        raise _nonsense("as many tokens as log-probabilities")
    return list(zip(tokens, map(_logprob, values), strict=True))


def echoed(answer: Json) -> list[tuple[int, str, float | None]]:
    """Return (offset, token, log-probability) of a text that was echoed."""
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    logprobs = first.get("logprobs") if isinstance(first, Mapping) else None
    echoed, at = [], 0
    for text, value in _pairs(logprobs):
        echoed.append((at, text, value))
        at += len(text)
    return echoed
