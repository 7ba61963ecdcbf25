"""`TextModel`: what a domain sees of a language model. Adapters are in `workers.llm`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from search.condition import Condition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from search.stop import StoppingCriterion

Role = Literal["system", "user", "assistant"]


class CachePolicy(StrEnum):
    """Rule by which a bounded key-value cache evicts tokens."""

    FULL = "full"
    """Nothing: the cache holds every token."""
    LOCAL = "local"
    """All but the newest tokens."""
    STREAMING = "streaming"
    """All but the first few and the newest tokens (StreamingLLM, arXiv 2309.17453)."""
    H2O = "h2o"
    """Tokens that drew the least attention (H2O, arXiv 2306.14048), by a score rule."""
    SNAPKV = "snapkv"
    """As `h2o`, by the attention of the prompt's last queries (SnapKV, arXiv 2404.14469)."""
    TOVA = "tova"
    """The token that the newest query attends to least (TOVA, arXiv 2401.06104)."""


class ScoreRule(StrEnum):
    """Sums of attention for `h2o`."""

    SUM = "sum"
    """Over all steps: as published."""
    MEAN = "mean"
    """Over all steps, by the token's age."""
    DECAY = "decay"
    """Over all steps, fading by a factor at each."""
    WINDOW = "window"
    """Over the last queries of the prompt."""


@dataclass(frozen=True, kw_only=True)
class CacheBudget:
    """Key-value cache of one call."""

    policy: CachePolicy
    slots: int  # tokens kept per key-value head; ignored by `full`
    score: ScoreRule = ScoreRule.DECAY
    decay: float = 0.98
    recent_share: float = 0.5  # of the slots, for the newest tokens
    sinks: int = 4  # first tokens that are always kept
    window: int = 32  # queries of `window` and of `snapkv`
    pool: int = 7  # neighbours over which `snapkv` averages
    # Share of the slots by layer, of mean 1; empty: every layer has `slots`. The total stays.
    layer_weights: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a conversation. The text is never read as special tokens."""

    role: Role
    text: str
    pinned: bool = False  # its tokens never leave the cache


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling of tokens. Temperature 0 takes the likeliest token."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0  # alternatives reported per token, at most 20


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """A bound on the text: exactly one field is set."""

    json_schema: Mapping[str, Any] | None = None
    choices: tuple[str, ...] | None = None
    regex: str | None = None


@dataclass(frozen=True, kw_only=True)
class Token:
    """One generated token."""

    id: int
    text: str  # empty while bytes of a character are still to come
    logprob: float | None  # of the model's own distribution; None when it gives none
    top: tuple[tuple[str, float], ...] = ()


class Finish(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    """The model ended its answer, a stop string came, or the grammar was complete."""
    LENGTH = "length"
    """`max_tokens` or the context was reached."""
    CANCELLED = "cancelled"
    """The caller, or a limit on time, stopped it."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one call."""

    prompt_tokens: int
    completion_tokens: int
    # Of the prompt, taken from an earlier call with the same beginning.
    cached_tokens: int = 0
    evicted_tokens: int = 0  # forgotten by the cache, mean over layers and heads
    policy: str = CachePolicy.FULL
    slots: int | None = None  # tokens the cache could hold; None: all of them


@dataclass(kw_only=True)
class Ended:
    """End of a generation, known when its stream is exhausted."""

    finish: Finish | None = None
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class TextRequest:
    """One generation."""

    # Exactly one: messages, put through the model's chat template, or text to be continued.
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    sampling: Sampling
    grammar: Grammar | None = None
    cache: CacheBudget | None = None  # None: the model's measured default
    # What the answer is held to, in the model's own process, among what the grammar allows.
    control: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Capabilities of a model."""

    name: str  # as /v1/models lists it
    context_tokens: int
    generates: bool = True  # False: `none`, for templates alone
    logprobs: bool = True
    hooks: bool = True  # takes logit hooks
    control: bool = False  # takes conditions
    grammar: bool = True
    local: bool = True  # text does not leave the machine
    # Calls at once. With more than 1, as many threads may call `generate`, `score` and `tokenize`.
    streams: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)


LogitHook = Callable[["Sequence[int]", "NDArray[np.float32]"], "NDArray[np.float32]"]
"""Tokens so far and [vocabulary] logits after the grammar's mask -> logits: a controller's door."""


class TextModelError(Exception):
    """A call that cannot be served. The message names field, expectation, value and remedy."""


class PromptTooLong(TextModelError):
    """The prompt and `max_tokens` do not fit the context, or pins do not fit the cache."""


class ModelUnavailable(TextModelError):
    """The model's files or its endpoint cannot be reached, or answer nonsense."""


class ModelBusy(TextModelError):
    """Too many calls wait for the model; try again later."""


class TextModel(Protocol):
    """A language model behind one door, for `capabilities.streams` threads at once."""

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of this model."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Return ids of a text; special tokens in it are read as plain text."""
        ...

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        """Yield tokens as they come; `ended` is complete when the stream is exhausted.

        Closing the iterator cancels. Raises TextModelError, before the first token wherever the
        cause is known by then.
        """
        ...

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats."""
        ...

    def close(self) -> None:
        """Release memory and processes."""
        ...
