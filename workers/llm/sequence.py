"""One sequence of an engine: its prompt, its place in the cache, its answer so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from cuda.kernels.slots import Victim
from search.stop import StoppingCriterion
from search.text_model import LogitHook, Sampling, Usage
from workers.llm.emission import Emission
from workers.llm.handle import Handle
from workers.llm.policies import Rule

States = Callable[[Sequence[int]], torch.Tensor]
"""Tokens -> [T, width]."""


class Bound(Protocol):
    """A grammar's state along one answer. `workers.llm.constrain.Constraint` is one."""

    @property
    def done(self) -> bool:
        """True once the text is complete."""
        ...

    def allowed(self) -> torch.Tensor:
        """Return [m] int64: tokens that may come next."""
        ...

    def accept(self, token: int) -> None:
        """Advance by a token."""
        ...

    def forced(self) -> list[int]:
        """Return the tokens that must come next, where there is no choice; else []."""
        ...


class Control(Protocol):
    """Guidance of an answer; `workers.llm.steering.Guide` is one."""

    @property
    def longest(self) -> int:
        """Tokens of the longest text that `prepare` reads."""
        ...

    def prepare(self, states: States, embed: States) -> None:
        """Read the conditions, by a function for states and one for embeddings."""
        ...

    def observe(
        self, ids: Sequence[int], states: torch.Tensor, embeddings: torch.Tensor
    ) -> None:
        """Add tokens that were read: their states and embeddings, both [T, width]."""
        ...

    def steer(
        self, logits: NDArray[np.float32], tokens: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return [m] logits under control, of `tokens` [m] or of the whole vocabulary."""
        ...


@dataclass(kw_only=True)
class Live:
    """A sequence that has been submitted. Only the engine's thread changes it."""

    ids: list[int]  # the prompt, then the answer
    pinned: list[bool]  # per token of the prompt
    rule: Rule
    sampling: Sampling
    endings: Collection[int]  # tokens that end an answer
    slots: int  # slots that it may come to fill
    emission: Emission
    hook: LogitHook | None = None
    stop: StoppingCriterion | None = None
    bound: Bound | None = None
    control: Control | None = None
    started: bool = False  # whether its row holds what was there before the first chunk
    # Ends of the chunks in which the prompt is read.
    chunks: list[int] = field(default_factory=list)
    prefix: int = 0  # tokens of the pinned beginning that a snapshot may hold
    prompt_tokens: int = 0
    cached_tokens: int = 0
    row: int = -1  # in the cache; -1 before admission
    position: int = 0  # tokens of `ids` that are in the cache or have left it
    handle: Handle = field(init=False)
    # To be scored after the prompt, instead of an answer.
    continuations: list[list[int]] | None = None
    scores: list[float] = field(default_factory=list)
    last_hidden: torch.Tensor = field(
        default_factory=lambda: torch.empty(0, 0)
    )  # [1, width]

    @property
    def reading(self) -> bool:
        """True while part of the prompt is still to be read."""
        return self.position < self.prompt_tokens

    @property
    def pending(self) -> int:
        """Tokens that are known and not yet in the cache."""
        return len(self.ids) - self.position

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer."""
        return len(self.ids) - self.prompt_tokens

    @property
    def wants_logprobs(self) -> bool:
        """True where the model's own distribution is wanted at every token."""
        return self.bound is None or self.sampling.top_logprobs > 0

    def usage(self) -> Usage:
        """Return the counts so far."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cached_tokens=self.cached_tokens,
            # Every layer and head holds the same number of tokens.
            evicted_tokens=max(0, self.position - self.rule.capacity),
            policy=self.rule.policy.value,
            slots=None if self.rule.victim == Victim.NONE else self.rule.capacity,
        )


def chunk_ends(tokens: int, prefix: int, chunk: int, window: int) -> list[int]:
    """Return where the chunks of a prompt end.

    A prefix that may become a snapshot ends a chunk. Each part is cut evenly, so that the last
    chunk is not much shorter than the others and holds the queries of a rule's window.
    """
    ends: list[int] = []
    for start, end in ((0, prefix), (prefix, tokens)):
        if end == start:
            continue
        parts = -(-(end - start) // max(chunk, window))
        ends += [start + (end - start) * (i + 1) // parts for i in range(parts)]
    return ends


def leading_pins(pinned: Sequence[bool]) -> int:
    """Return the length of the pinned beginning."""
    return next((i for i, pin in enumerate(pinned) if not pin), len(pinned))
