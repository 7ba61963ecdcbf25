"""Answers in the shape of OpenAI's API: objects, chunks of a stream, log-probabilities, usage."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from search.text_model import Ended, Finish, Token, Usage

DONE = b"data: [DONE]\n\n"
# A limit on time is a limit on length: OpenAI's API has no other word for it.
_FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.CANCELLED: "length"}


@dataclass
class Choice:
    """One answer while it comes."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    ended: Ended = field(default_factory=Ended)

    def add(self, token: Token, *, keep: bool) -> int:
        """Append a token, and keep it for its log-probability; return the offset of its text."""
        offset = len(self.text)
        self.text += token.text
        if keep:
            self.tokens.append(token)
        return offset

    @property
    def finish(self) -> str | None:
        """The reason of the end, as OpenAI's API words it."""
        return None if self.ended.finish is None else _FINISH[self.ended.finish]


@dataclass(kw_only=True)
class Answer:
    """The answer to one request, and its parts. Subclasses are the two endpoints."""

    OBJECT: ClassVar[str]
    CHUNK: ClassVar[str]
    PREFIX: ClassVar[str]

    model: str
    choices: list[Choice]
    prompts: int  # different prompts: the choices of one read it once
    logprobs: bool
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def body(self) -> dict[str, Any]:
        """Return the whole answer."""
        choices = [
            {
                "index": index,
                **self._content(choice),
                "logprobs": self._logprobs(choice.tokens, 0) if self.logprobs else None,
                "finish_reason": choice.finish,
            }
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head(self.OBJECT), "choices": choices, "usage": self.usage()}

    def first_chunks(self) -> bytes:
        """Return the chunks before the first token."""
        return b""

    def chunk(self, index: int, token: Token) -> bytes:
        """Append a token to its choice, and return its chunk."""
        offset = self.choices[index].add(token, keep=False)
        logprobs = self._logprobs([token], offset) if self.logprobs else None
        part = {**self._delta(token.text), "logprobs": logprobs}
        return self._event(index, {**part, "finish_reason": None})

    def last_chunk(self, index: int) -> bytes:
        """Return the chunk that ends a choice."""
        part = {**self._delta(None), "logprobs": None}
        return self._event(index, {**part, "finish_reason": self.choices[index].finish})

    def usage_chunk(self) -> bytes:
        """Return the chunk with the usage, which has no choice."""
        return event({**self._head(self.CHUNK), "choices": [], "usage": self.usage()})

    def usage(self) -> dict[str, Any]:
        """Return the tokens of all choices; see `usage_of`."""
        return usage_of([choice.ended.usage for choice in self.choices], self.prompts)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"{self.PREFIX}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }

    def _event(self, index: int, part: dict[str, Any]) -> bytes:
        return event({**self._head(self.CHUNK), "choices": [{"index": index, **part}]})

    def _content(self, choice: Choice) -> dict[str, Any]:
        raise NotImplementedError

    def _delta(self, text: str | None) -> dict[str, Any]:
        raise NotImplementedError

    def _logprobs(self, tokens: Sequence[Token], offset: int) -> dict[str, Any]:
        raise NotImplementedError


class ChatAnswer(Answer):
    """Answer of `/v1/chat/completions`."""

    OBJECT, CHUNK, PREFIX = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def first_chunks(self) -> bytes:
        """Return one chunk per choice that says who speaks."""
        first = {"delta": {"role": "assistant", "content": ""}, "logprobs": None}
        return b"".join(
            self._event(index, {**first, "finish_reason": None})
            for index in range(len(self.choices))
        )

    def _content(self, choice: Choice) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": choice.text, "refusal": None}}

    def _delta(self, text: str | None) -> dict[str, Any]:
        return {"delta": {} if text is None else {"content": text}}

    def _logprobs(self, tokens: Sequence[Token], offset: int) -> dict[str, Any]:
        content = [
            {
                **_with_bytes(token.text, token.logprob),
                "top_logprobs": [_with_bytes(text, value) for text, value in token.top],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}


class CompletionAnswer(Answer):
    """Answer of `/v1/completions`."""

    OBJECT, CHUNK, PREFIX = "text_completion", "text_completion", "cmpl"

    def _content(self, choice: Choice) -> dict[str, Any]:
        return {"text": choice.text}

    def _delta(self, text: str | None) -> dict[str, Any]:
        return {"text": text or ""}

    def _logprobs(self, tokens: Sequence[Token], offset: int) -> dict[str, Any]:
        offsets = []
        for token in tokens:
            offsets.append(offset)
            offset += len(token.text)
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [dict(token.top) for token in tokens],
            "text_offset": offsets,
        }


def usage_of(usages: Sequence[Usage | None], prompts: int) -> dict[str, Any]:
    """Return the usage of several choices, of which the first of each prompt counts its prompt.

    `kv` is an extension: the policy of the cache, its budget in slots, and the tokens that it
    forgot, summed over the choices (each is a mean over layers and heads).
    """
    known = [usage for usage in usages if usage is not None]
    each = max(1, len(usages) // max(1, prompts))
    first = [usage for usage in usages[::each] if usage is not None]
    prompt = sum(usage.prompt_tokens for usage in first)
    generated = sum(usage.completion_tokens for usage in known)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": generated,
        "total_tokens": prompt + generated,
        "prompt_tokens_details": {
            "cached_tokens": sum(usage.cached_tokens for usage in first)
        },
        "kv": {
            "policy": known[0].policy if known else None,
            "budget": known[0].slots if known else None,
            "evicted": sum(usage.evicted_tokens for usage in known),
        },
    }


def event(body: dict[str, Any]) -> bytes:
    """Return a body as a server-sent event."""
    return b"data: %b\n\n" % orjson.dumps(body)


def _with_bytes(text: str, logprob: float | None) -> dict[str, Any]:
    # OpenAI's clients expect a number; -9999 is what its API reports for "none".
    value = -9999.0 if logprob is None else logprob
    return {"token": text, "logprob": value, "bytes": list(text.encode())}
