"""Conversations with the server's language model: requests, answers, streams. Without IO."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from trimtab.errors import ApiError, ProtocolError, api_error
from trimtab.results import Problem
from trimtab.specs.docstrings import DescribedModel

_READ = ConfigDict(extra="ignore", populate_by_name=True)
ANSWER_S = 660.0
"""A whole answer may take as long as the server lets a generation last."""

QUIET_S = 180.0
"""A stream is silent until the model is loaded and has read the prompt; after that it is not."""

Messages = str | Sequence[Mapping[str, Any]]
"""A question, or a conversation: objects with `role` and `content`, oldest first."""


class CacheUse(DescribedModel):
    """Figures of the model's key-value cache."""

    model_config = _READ
    policy: str | None = None
    """How the cache chooses what to forget."""
    budget: int | None = None
    """Tokens it could hold. None: all of them."""
    evicted: int = 0
    """Tokens that it forgot."""


class TextUsage(DescribedModel):
    """Tokens of one call."""

    model_config = _READ
    prompt_tokens: int = 0
    """Tokens of the prompt."""
    completion_tokens: int = 0
    """Tokens of all answers."""
    total_tokens: int = 0
    """Both."""
    prompt_tokens_details: dict[str, int] = Field(default_factory=dict)
    """`cached_tokens`: tokens of the prompt that were not read again."""
    kv: CacheUse = CacheUse()
    """What the key-value cache did."""


class TextChoice(DescribedModel):
    """One answer."""

    model_config = _READ
    index: int
    """Number of the answer."""
    text: str = ""
    """The answer's text; of a chunk, the part that is new."""
    finish_reason: str | None = None
    """`stop` or `length`; None in a chunk that is not the last of its answer."""
    logprobs: dict[str, Any] | None = None
    """Log-probabilities, as OpenAI's API has them."""


class TextAnswer(DescribedModel):
    """The answer of a language model, or a chunk of one."""

    model_config = _READ
    id: str
    """Id of the answer, the same in all its chunks."""
    model: str
    """Name of the model."""
    choices: list[TextChoice]
    """One answer for each of `n`."""
    usage: TextUsage | None = None
    """Tokens. None in a chunk before the last."""

    @property
    def text(self) -> str:
        """The text of the first answer; of a chunk, what is new of any answer."""
        return self.choices[0].text if self.choices else ""

    def parsed(self) -> Any:
        """Return the text as JSON, for a call with `json_schema`. Raises ValueError."""
        return json.loads(self.text)


class LanguageModel(DescribedModel):
    """A language model of the server."""

    model_config = _READ
    id: str
    """Its name."""
    about: dict[str, Any] = Field(alias="trimtab", default_factory=dict)
    """Its context in tokens, and what it can do."""


def chat_body(
    messages: Messages, *, model: str | None, stream: bool, **options: Any
) -> dict[str, Any]:
    """Return the body of a chat request; see `AsyncClient.chat` for the options."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if (schema := options.pop("json_schema", None)) is not None:
        if hasattr(schema, "model_json_schema"):
            schema = schema.model_json_schema()
        form = {"name": "answer", "schema": schema}
        options["response_format"] = {"type": "json_schema", "json_schema": form}
    return {"messages": list(messages), **_common(model, stream=stream, **options)}


def completion_body(
    prompt: str | Sequence[str], *, model: str | None, **options: Any
) -> dict[str, Any]:
    """Return the body of a request to continue texts."""
    text = prompt if isinstance(prompt, str) else list(prompt)
    return {"prompt": text, **_common(model, stream=False, **options)}


def _common(model: str | None, *, stream: bool, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model or "default"}
    body |= {name: value for name, value in options.items() if value is not None}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def answer_of(body: Any) -> TextAnswer:
    """Read an answer or a chunk of either endpoint. Raises ProtocolError."""
    try:
        choices = [
            {**choice, "text": _text_of(choice)} for choice in body.get("choices", [])
        ]
        return TextAnswer.model_validate({**body, "choices": choices})
    except (ValidationError, AttributeError, TypeError) as error:
        shown = str(body)[:200]
        raise ProtocolError(f"expected an answer of a model, got {shown!r}") from error


def _text_of(choice: Mapping[str, Any]) -> str:
    if "text" in choice:
        return str(choice["text"])
    part = choice.get("message") or choice.get("delta") or {}
    return str(part.get("content") or "")


class TextStream:
    """Parser of the server-sent events of one answer."""

    def __init__(self) -> None:
        self.begun = False
        self.done = False
        self._buffer = b""

    def feed(self, block: bytes) -> Iterator[TextAnswer]:
        """Yield the chunks that these bytes complete. Raises ApiError for the server's."""
        self._buffer += block
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue  # a comment that keeps the connection open, or an empty line
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                self.done = True
                return
            self.begun = True
            try:
                body = json.loads(data)
            except ValueError as error:
                raise ProtocolError(
                    f"expected a chunk of an answer, got {data[:200]!r}"
                ) from error
            if isinstance(body, dict) and body.get("error"):
                raise _error_of(body["error"])
            yield answer_of(body)


def _error_of(error: Mapping[str, Any]) -> ApiError:
    """Return the error of an answer that broke off."""
    return api_error(
        Problem(
            type=f"urn:trimtab:problem:{error.get('code') or 'model-offline'}",
            title="The answer broke off",
            status=503 if error.get("type") == "server_error" else 400,
            detail=str(error.get("message")),
        )
    )
