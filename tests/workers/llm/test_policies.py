"""Eviction rules from budgets, and budgets that cannot be kept."""

from __future__ import annotations

import random

import pytest

from cuda.kernels.slots import Victim
from search.text_model import (
    CacheBudget,
    CachePolicy,
    PromptTooLong,
    ScoreRule,
    TextModelError,
)
from workers.llm.policies import resolve, rows


def budget(policy: CachePolicy = CachePolicy.H2O, **changed: object) -> CacheBudget:
    return CacheBudget(policy=policy, **({"slots": 100} | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "victim", "recent", "sinks"),
    [
        (budget(CachePolicy.LOCAL), Victim.AGE, 1, 0),
        (budget(CachePolicy.STREAMING), Victim.AGE, 1, 4),
        (budget(score=ScoreRule.SUM), Victim.SUM, 50, 4),
        (budget(score=ScoreRule.MEAN, sinks=0), Victim.MEAN, 50, 0),
        (budget(score=ScoreRule.DECAY, recent_share=0.25), Victim.DECAY, 25, 4),
        (budget(score=ScoreRule.WINDOW), Victim.SUM, 50, 4),
        (budget(CachePolicy.SNAPKV), Victim.SUM, 32, 4),
        (budget(CachePolicy.TOVA), Victim.LAST, 1, 0),
    ],
)
def test_rules(asked: CacheBudget, victim: Victim, recent: int, sinks: int) -> None:
    rule = resolve(asked, pinned=[False] * 200, tokens=300, limit=1000)
    assert (rule.victim, rule.capacity, rule.recent, rule.sinks) == (
        victim,
        100,
        recent,
        sinks,
    )
    assert (rule.decay == 1) == (
        asked.score is not ScoreRule.DECAY or asked.policy != "h2o"
    )
    assert rule.generating.window == 0
    assert rule.generating.victim is rule.victim


@pytest.mark.parametrize("seed", range(200))
def test_an_accepted_rule_can_always_let_a_token_go(seed: int) -> None:
    """Random budgets and pins: refused, or at least one slot is free to go at every step."""
    rng = random.Random(seed)
    n = rng.randrange(1, 80)
    share = rng.random()
    pinned = [rng.random() < share for _ in range(n)]
    asked = budget(
        rng.choice(list(CachePolicy)),
        slots=rng.randrange(1, 60),
        score=rng.choice(list(ScoreRule)),
        recent_share=rng.choice([0.0, 0.1, 0.5, 0.9]),
        sinks=rng.randrange(6),
    )
    tokens = n + rng.randrange(1, 60)
    try:
        rule = resolve(asked, pinned=pinned, tokens=tokens, limit=rng.randrange(1, 120))
    except PromptTooLong:
        return
    if tokens <= rule.capacity:
        return
    for end in range(rule.capacity, tokens + 1):
        held = {i for i in range(end) if i < rule.sinks or (i < n and pinned[i])}
        held |= set(range(end - rule.recent, end))
        assert len(held) < rule.capacity


def test_the_slots_are_bounded_by_the_engine() -> None:
    assert resolve(budget(slots=500), pinned=[], tokens=90, limit=60).capacity == 60
    with pytest.raises(PromptTooLong, match=r"full keeps 90 tokens .* 60 slots"):
        resolve(budget(CachePolicy.FULL), pinned=[], tokens=90, limit=60)
    assert (
        resolve(budget(CachePolicy.FULL), pinned=[], tokens=60, limit=60).capacity == 60
    )


def test_pins_and_windows_that_do_not_fit() -> None:
    with pytest.raises(
        PromptTooLong, match=r"76 pinned tokens exceed 75% of 100 .* 102 slots"
    ):
        resolve(budget(), pinned=[True] * 76, tokens=300, limit=1000)
    assert resolve(budget(), pinned=[True] * 75, tokens=300, limit=1000).recent == 12
    with pytest.raises(PromptTooLong, match=r"at least 9 [(]sinks and pins 4, recent 4"):
        resolve(budget(slots=8), pinned=[], tokens=300, limit=1000)
    # Where nothing is evicted, pins may fill the cache.
    resolve(budget(), pinned=[True] * 90, tokens=95, limit=1000)


@pytest.mark.parametrize(
    "changed",
    [
        {"slots": 0},
        {"sinks": -1},
        {"decay": 0.0},
        {"decay": 1.1},
        {"decay": float("nan")},
        {"recent_share": 1.0},
        {"recent_share": -0.1},
        {"window": 0},
        {"pool": 2},
        {"pool": 0},
    ],
)
def test_refusals_name_the_field(changed: dict[str, object]) -> None:
    with pytest.raises(TextModelError, match=f"cache.{next(iter(changed))}: expected"):
        resolve(budget(**changed), pinned=[], tokens=10, limit=100)


def test_rows_follow_the_rules() -> None:
    rules = tuple(
        resolve(asked, pinned=[], tokens=300, limit=1000)
        for asked in (budget(CachePolicy.TOVA), budget(slots=50, decay=0.9))
    )
    tensors = rows(rules)
    assert tensors.victim.tolist() == [Victim.LAST, Victim.DECAY]
    assert tensors.capacity.tolist() == [100, 50]
    assert tensors.recent.tolist() == [1, 25]
    assert tensors.decay.tolist() == pytest.approx([1.0, 0.9])
