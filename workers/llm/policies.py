"""Eviction rules: what a request's `CacheBudget` asks for, resolved against its prompt and pins.

Source: H2O (arXiv 2306.14048), StreamingLLM (2309.17453), SnapKV (2404.14469), TOVA (2401.06104).
Where they are read differently here is in deploy/docs/design/language-models.md, "Rules".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from cuda.kernels.slots import EvictionRows, Victim
from search.text_model import (
    CacheBudget,
    CachePolicy,
    PromptTooLong,
    ScoreRule,
    TextModelError,
)

PINNED_SHARE = 0.75
"""Share of the slots that pins may take: the rest is for text that comes and goes."""

LEAST_LAYER_SLOTS = 12
"""Of a layer, as the budget advisor's proposals have it."""

_SCORED = {
    ScoreRule.SUM: Victim.SUM,
    ScoreRule.MEAN: Victim.MEAN,
    ScoreRule.DECAY: Victim.DECAY,
    # The window counts while the prompt is read; generated tokens add to it.
    ScoreRule.WINDOW: Victim.SUM,
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Eviction rule of one sequence."""

    policy: CachePolicy
    victim: Victim
    capacity: int  # slots that the sequence may fill
    recent: int  # newest tokens that never go, the token of the step among them
    sinks: int = 0  # first positions that never go
    decay: float = 1.0
    window: int = 0  # last queries of a chunk that count while the prompt is read; 0: all
    pool: int = 1  # neighbours over which the window's sums are averaged
    # (capacity, recent) of each layer, where they differ; `capacity` is then their mean.
    layers: tuple[tuple[int, int], ...] = ()

    def at(self, layer: int) -> Rule:
        """Return the rule of a layer."""
        if not self.layers:
            return self
        capacity, recent = self.layers[layer]
        return replace(self, capacity=capacity, recent=recent, layers=())

    @property
    def scored(self) -> bool:
        """True where attention decides; False for positions alone."""
        return self.victim in _ATTENTIVE

    @property
    def generating(self) -> Rule:
        """The rule once the prompt has been read: every query counts."""
        return replace(self, window=0, pool=1) if self.window else self

    @property
    def state(self) -> tuple[object, ...]:
        """Parts that scores depend on while nothing has been evicted."""
        return (self.victim, self.decay, self.window, self.pool) if self.scored else ()


_ATTENTIVE = frozenset({Victim.SUM, Victim.MEAN, Victim.DECAY, Victim.LAST})


def resolve(
    budget: CacheBudget, *, pinned: Sequence[bool], tokens: int, limit: int
) -> Rule:
    """Return the rule of a request.

    Args:
        budget: what the request asks for.
        pinned: per token of the prompt.
        tokens: prompt and `max_tokens` together.
        limit: slots that one sequence may have in this engine.

    Raises:
        PromptTooLong: the pins, or the text without eviction, do not fit.
        TextModelError: a field of the budget is out of its range.
    """
    _check(budget)
    if budget.policy == CachePolicy.FULL:
        if tokens > limit:
            raise PromptTooLong(
                f"cache.policy: full keeps {tokens} tokens (prompt and max_tokens), the engine has "
                f"{limit} slots per sequence; shorten them, or choose h2o, streaming or snapkv"
            )
        return Rule(policy=budget.policy, victim=Victim.NONE, capacity=tokens, recent=1)
    rule = _rule(budget, pins=_always_kept(pinned, 0), limit=limit)
    if tokens <= rule.capacity:
        return rule
    always_kept = _always_kept(pinned, rule.sinks)
    pins = sum(pinned)
    if pins > PINNED_SHARE * rule.capacity:
        raise PromptTooLong(
            f"cache.slots: {pins} pinned tokens exceed {PINNED_SHARE:.0%} of {rule.capacity} "
            f"slots; pin less, or give at least {math.ceil(pins / PINNED_SHARE)} slots"
        )
    if budget.layer_weights:
        rule = _layered(rule, budget, pins=pins, limit=limit)
    needed = always_kept + rule.recent + 1
    if rule.capacity < needed:
        raise PromptTooLong(
            f"cache.slots: expected at least {needed} (sinks and pins {always_kept}, recent "
            f"{rule.recent}, and 1), got {rule.capacity}; give more slots or a smaller recent_share"
        )
    return rule


def _rule(budget: CacheBudget, *, pins: int, limit: int) -> Rule:
    """Return the rule, unchecked against the prompt."""
    capacity = min(budget.slots, limit)
    recent = max(1, int(budget.recent_share * (capacity - min(pins, capacity))))
    policy = budget.policy
    if policy == CachePolicy.LOCAL:
        return Rule(policy=policy, victim=Victim.AGE, capacity=capacity, recent=1)
    if policy == CachePolicy.STREAMING:
        return Rule(
            policy=policy,
            victim=Victim.AGE,
            capacity=capacity,
            recent=1,
            sinks=budget.sinks,
        )
    if policy == CachePolicy.TOVA:
        return Rule(policy=policy, victim=Victim.LAST, capacity=capacity, recent=1)
    if policy == CachePolicy.SNAPKV:
        return Rule(
            policy=policy,
            victim=Victim.SUM,
            capacity=capacity,
            recent=min(budget.window, recent),
            sinks=budget.sinks,
            window=budget.window,
            pool=budget.pool,
        )
    return Rule(
        policy=policy,
        victim=_SCORED[budget.score],
        capacity=capacity,
        recent=recent,
        sinks=budget.sinks,
        decay=budget.decay if budget.score == ScoreRule.DECAY else 1.0,
        window=budget.window if budget.score == ScoreRule.WINDOW else 0,
    )


def _layered(rule: Rule, budget: CacheBudget, *, pins: int, limit: int) -> Rule:
    """Return the rule with slots by layer; the total is that of equal ones, or a little less.

    The same for every layer where so few slots are left that no layer could give any away.
    """
    # Room for sinks, recent tokens and one that may go, whatever the share of recent tokens.
    needed = math.ceil((budget.sinks + 2) / (1 - budget.recent_share))
    least = pins + max(LEAST_LAYER_SLOTS, needed)
    spare = rule.capacity - least
    if spare <= 0:
        return rule
    mean = sum(budget.layer_weights) / len(budget.layer_weights)
    capacities = [
        min(limit, least + int(weight / mean * spare)) for weight in budget.layer_weights
    ]
    layers = tuple(
        (capacity, max(1, int(budget.recent_share * (capacity - pins))))
        for capacity in capacities
    )
    return replace(rule, layers=layers)


def _check(budget: CacheBudget) -> None:
    """Raise TextModelError for a field out of its range."""
    if any(not 0 <= weight < math.inf for weight in budget.layer_weights) or (
        budget.layer_weights and sum(budget.layer_weights) <= 0
    ):
        raise TextModelError(
            "cache.layer_weights: expected finite numbers of at least 0, not all of them 0, got "
            f"{budget.layer_weights!r:.80}"
        )
    for name, value, least in (
        ("slots", budget.slots, 1 if budget.policy != CachePolicy.FULL else 0),
        ("sinks", budget.sinks, 0),
        ("window", budget.window, 1),
    ):
        if value < least:
            raise TextModelError(f"cache.{name}: expected at least {least}, got {value}")
    if not 0 < budget.decay <= 1:
        raise TextModelError(
            f"cache.decay: expected a number in (0, 1], got {budget.decay}"
        )
    if not 0 <= budget.recent_share < 1:
        raise TextModelError(
            f"cache.recent_share: expected a number in [0, 1), got {budget.recent_share}"
        )
    if budget.pool < 1 or budget.pool % 2 == 0:
        raise TextModelError(f"cache.pool: expected an odd number, got {budget.pool}")


def _always_kept(pinned: Sequence[bool], sinks: int) -> int:
    """Return how many tokens of a prompt are pins or sinks."""
    return sinks + sum(pinned[sinks:])


@lru_cache(maxsize=1024)
def rows(rules: tuple[Rule, ...], device: torch.device | str = "cpu") -> EvictionRows:
    """Return the rules of a step's live sequences as tensors, which nobody may change."""

    def ints(values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int32, device=device)

    return EvictionRows(
        victim=ints([int(rule.victim) for rule in rules]),
        capacity=ints([rule.capacity for rule in rules]),
        recent=ints([rule.recent for rule in rules]),
        sinks=ints([rule.sinks for rule in rules]),
        decay=torch.tensor(
            [rule.decay for rule in rules], dtype=torch.float32, device=device
        ),
    )
