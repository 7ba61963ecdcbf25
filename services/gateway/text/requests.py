"""Requests of `/v1/chat/completions` and `/v1/completions`, and what they ask of a model.

The models are strict and closed like every model of the wire: an unknown field is an error, so a
misspelt or unsupported one is never silently ignored. Fields that clients send by habit are
accepted with the value that changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from search.text_model import (
    CacheBudget,
    CachePolicy,
    Capabilities,
    Grammar,
    Message,
    Role,
    Sampling,
    ScoreRule,
    TextRequest,
)
from trimtab.specs.common import ShortText, Text, WireModel

MAX_CHOICES = 4
MAX_SCHEMA_DEPTH = 40  # of JSON; a level of a schema takes two
MAX_SCHEMA_NODES = 1_000  # objects and lists
_ROLES: dict[str, Role] = {"developer": "system"}
StopString = Annotated[Text, Field(min_length=1, max_length=500)]
Stops = StopString | Annotated[list[StopString], Field(max_length=4)]


class TextPart(WireModel):
    """A part of a message's content."""

    type: Literal["text"]
    """Only text: this server has no model for images or sound."""
    text: Text
    """The text."""


class ChatMessage(WireModel):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    """Who speaks; `developer` is another word for `system`."""
    content: Text | Annotated[list[TextPart], Field(max_length=1000)]
    """The text, which is never read as special tokens."""
    name: ShortText | None = None
    """Name of the speaker; not shown to the model."""
    pinned: bool = False
    """The model's cache never forgets this message. An extension to OpenAI's API."""

    def text(self) -> str:
        """Return the content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class CacheOptions(WireModel):
    """Key-value cache of one call. An extension to OpenAI's API."""

    policy: CachePolicy
    """What the cache forgets when it is full; `full` forgets nothing."""
    slots: Annotated[int, Field(ge=8, le=2**20)] = 2048
    """Tokens that it keeps for each key-value head."""
    score: ScoreRule = ScoreRule.DECAY
    """How `h2o` sums attention."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.98
    """Factor at each step, of `decay`."""
    recent_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the slots for the newest tokens."""
    sinks: Annotated[int, Field(ge=0, le=1024)] = 4
    """First tokens that are always kept."""
    window: Annotated[int, Field(ge=1, le=4096)] = 32
    """Queries of `window` and of `snapkv`."""
    pool: Annotated[int, Field(ge=1, le=255)] = 7
    """Neighbours over which `snapkv` averages."""

    def budget(self) -> CacheBudget:
        """Return the budget for a model."""
        return CacheBudget(**dict(self))


class JsonSchemaFormat(WireModel):
    """A schema that the answer fits."""

    name: ShortText
    """Name of the schema, for people."""
    description: Text | None = None
    """What it is for; not shown to the model."""
    # `schema` would hide a method of pydantic's.
    schema_: Annotated[dict[str, JsonValue] | None, Field(alias="schema")] = None
    """JSON Schema of the answer. None: any object."""
    strict: bool | None = None
    """Accepted and always true: the model cannot leave the schema."""


class ResponseFormat(WireModel):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    """`text`: anything; `json_object`: a JSON object; `json_schema`: JSON that fits a schema."""
    json_schema: JsonSchemaFormat | None = None
    """The schema, of `json_schema`."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError(
                "response_format.json_schema: expected one exactly with the type json_schema; "
                f"the type is {self.type}"
            )
        schema = None if self.json_schema is None else self.json_schema.schema_
        if schema is not None:
            _check_size(schema)
        return self

    def grammar(self) -> Grammar | None:
        """Return the grammar that it asks for."""
        if self.type == "text":
            return None
        schema = None if self.json_schema is None else self.json_schema.schema_
        return Grammar(json_schema=schema or {"type": "object"})


class StreamOptions(WireModel):
    """Options of a stream."""

    include_usage: bool = False
    """Send the usage in a last chunk."""
    include_obfuscation: bool | None = None
    """Accepted for the sake of clients; there is none."""


class _Generation(WireModel):
    """Fields of both requests."""

    model: ShortText
    """Name of the model, as `GET /v1/models` lists it, or `default`."""
    max_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    """Most tokens of the answer. None: the server's limit, or a quarter of the model's context."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0 takes the likeliest token. None: 1."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Draw from the likeliest tokens with this mass. None: 1."""
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Draw from tokens at least this likely, relative to the likeliest. An extension."""
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    """Answers to generate. None: 1."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    """Seed of the draws; choice number i uses `seed` + i. None: a random one."""
    stop: Stops | None = None
    """Strings that end the answer, which does not contain them."""
    stream: bool | None = None
    """Send the answer in parts, as server-sent events."""
    stream_options: StreamOptions | None = None
    """Options of the stream."""
    user: ShortText | None = None
    """Accepted and ignored: the API key says who calls."""
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    """Not supported; 0 is accepted."""
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    """Not supported; 0 is accepted."""
    cache: CacheOptions | None = None
    """Key-value cache of this call. None: the model's measured default. An extension."""

    @model_validator(mode="after")
    def _only_with_a_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError(
                "stream_options: expected with stream=true only; leave it out"
            )
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def _samplings(self, count: int, *, max_tokens: int, top: int) -> list[Sampling]:
        """Return how each of `count` choices is drawn."""
        seed = secrets.randbits(32) if self.seed is None else self.seed
        return [
            Sampling(
                max_tokens=max_tokens,
                temperature=1.0 if self.temperature is None else self.temperature,
                top_p=1.0 if self.top_p is None else self.top_p,
                min_p=self.min_p,
                # 64 bits without a sign, which a generator of random numbers takes.
                seed=(seed + choice) % 2**63,
                stop=self.stops,
                top_logprobs=top,
            )
            for choice in range(count)
        ]


class ChatRequest(_Generation):
    """Body of `POST /v1/chat/completions`: OpenAI's, and the extensions that are named so."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=2000)]
    """The conversation, oldest first."""
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    """Another word for `max_tokens`."""
    logprobs: bool | None = None
    """Return the log-probability of each token."""
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Alternatives to return for each token; needs `logprobs`."""
    response_format: ResponseFormat | None = None
    """What the answer must be. None: any text."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise ValueError(
                "top_logprobs: expected with logprobs=true only; set logprobs"
            )
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError(
                "max_tokens: expected one of max_tokens and max_completion_tokens, got both; "
                "leave one out"
            )
        return self

    @property
    def limit(self) -> int | None:
        """The tokens that the caller allows."""
        return (
            self.max_tokens if self.max_tokens is not None else self.max_completion_tokens
        )

    @property
    def texts(self) -> list[str]:
        """What the model reads."""
        return [message.text() for message in self.messages]

    def text_requests(self, max_tokens: int) -> list[TextRequest]:
        """Return one request for each choice."""
        messages = tuple(
            Message(
                role=_ROLES.get(message.role, message.role),  # type: ignore[arg-type]
                text=message.text(),
                pinned=message.pinned,
            )
            for message in self.messages
        )
        form = self.response_format
        top = max(1, self.top_logprobs or 0) if self.logprobs else 0
        samplings = self._samplings(self.n or 1, max_tokens=max_tokens, top=top)
        return [
            TextRequest(
                messages=messages,
                sampling=sampling,
                grammar=None if form is None else form.grammar(),
                cache=None if self.cache is None else self.cache.budget(),
            )
            for sampling in samplings
        ]


class CompletionRequest(_Generation):
    """Body of `POST /v1/completions`: text to be continued, without a chat template."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_CHOICES)]
    """The text to continue, or several; at most four choices in all."""
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    """Alternatives to return for each token, with its log-probability."""
    echo: Literal[False] | None = None
    """Not supported; false is accepted."""
    best_of: Annotated[int, Field(ge=1, le=1)] | None = None
    """Not supported; 1 is accepted."""

    @model_validator(mode="after")
    def _few(self) -> Self:
        if len(self.texts) * (self.n or 1) > MAX_CHOICES:
            raise ValueError(
                f"n: expected at most {MAX_CHOICES} choices for all prompts, got "
                f"{len(self.texts) * (self.n or 1)}; send the prompts one by one"
            )
        return self

    @property
    def limit(self) -> int | None:
        """The tokens that the caller allows."""
        return self.max_tokens

    @property
    def texts(self) -> list[str]:
        """What the model reads."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    def text_requests(self, max_tokens: int) -> list[TextRequest]:
        """Return one request for each choice: all of the first prompt, then of the second."""
        count = self.n or 1
        top = 0 if self.logprobs is None else max(1, self.logprobs)
        samplings = self._samplings(
            count * len(self.texts), max_tokens=max_tokens, top=top
        )
        return [
            TextRequest(
                prompt=self.texts[choice // count],
                sampling=sampling,
                cache=None if self.cache is None else self.cache.budget(),
            )
            for choice, sampling in enumerate(samplings)
        ]


GenerationRequest = ChatRequest | CompletionRequest


def default_tokens(limit: int, capabilities: Capabilities) -> int:
    """Return `max_tokens` of a request without one: it leaves room for the prompt."""
    return max(1, min(limit, capabilities.context_tokens // 4))


def prompt_bytes(texts: Iterable[str]) -> int:
    """Return the size of what a model reads."""
    return sum(len(text.encode()) for text in texts)


def _check_size(schema: Any) -> None:
    """Raise ValueError for a schema that is too deep or too large to be compiled."""
    nodes, level = 0, [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        nodes += len(level)
        if nodes > MAX_SCHEMA_NODES:
            raise ValueError(
                f"response_format.json_schema: expected at most {MAX_SCHEMA_NODES} objects and "
                "lists in a schema, got more; split it"
            )
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise ValueError(
        f"response_format.json_schema: expected at most {MAX_SCHEMA_DEPTH} levels of JSON, got "
        "more; flatten the schema"
    )
