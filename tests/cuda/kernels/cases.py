"""Random steps of decode attention, the same for every implementation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch

from cuda.kernels import reference
from cuda.kernels.slots import EvictionRows, SlotCache, Victim

Decode = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A cache of some shape with a rule per live sequence, and tokens to come."""

    cache: SlotCache
    rows: torch.Tensor
    rules: EvictionRows
    group: int
    dtype: torch.dtype
    steps: int
    seed: int

    def tokens(self) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(self.seed)
        _, kv_heads, _, size = self.cache.keys.shape
        shape = (len(self.rows), kv_heads)

        def normal(*more: int) -> torch.Tensor:
            return torch.randn(*shape, *more, generator=generator).to(self.dtype)

        return [
            (normal(self.group, size), normal(size), normal(size))
            for _ in range(self.steps)
        ]


def random_case(
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    cache_dtype: torch.dtype | None = None,
    slots: tuple[int, int] = (6, 70),
    heads: int = 3,
    sequences: int = 4,
    groups: tuple[int, ...] = (1, 2, 3, 4, 5, 8, 9),
    sizes: tuple[int, ...] = (64, 80, 96, 128, 17, 20, 72),
    more: int = 30,
) -> Case:
    """Draw shapes and rules; some sequences of the cache stay idle."""
    draw = np.random.default_rng(seed)
    held = int(draw.integers(1, sequences + 1))
    rows = draw.permutation(held)[: draw.integers(1, held + 1)]
    count = int(draw.integers(slots[0], slots[1] + 1))
    capacity = draw.integers(slots[0], count + 1, len(rows))
    sinks = draw.integers(0, 3, len(rows))
    victim = draw.integers(Victim.AGE, Victim.LAST + 1, len(rows))
    recent = draw.integers(1, capacity - sinks - 1)
    decay = np.where(victim == Victim.DECAY, 0.9, 1.0)
    rules = EvictionRows(
        victim=torch.tensor(victim, dtype=torch.int32),
        capacity=torch.tensor(capacity, dtype=torch.int32),
        recent=torch.tensor(recent, dtype=torch.int32),
        sinks=torch.tensor(sinks, dtype=torch.int32),
        decay=torch.tensor(decay, dtype=torch.float32),
    )
    cache = SlotCache.empty(
        held,
        int(draw.integers(1, heads + 1)),
        count,
        int(draw.choice(sizes)),
        dtype=cache_dtype or dtype,
    )
    return Case(
        cache=cache,
        rows=torch.tensor(rows),
        rules=rules,
        group=int(draw.choice(groups)),
        dtype=dtype,
        steps=count + int(draw.integers(0, more)),
        seed=seed,
    )


def copied(cache: SlotCache) -> SlotCache:
    return SlotCache(
        **{one.name: getattr(cache, one.name).clone() for one in fields(cache)}
    )


def compare(case: Case, decode: Decode, *, tolerance: float, pin_at: int = 3) -> None:
    """Run the steps of a case by the reference and by `decode`, and compare all that they change.

    Slots of the same head may differ only where two ranks tie within 1e-6.
    """
    ours, theirs = copied(case.cache), copied(case.cache)
    for step, (query, key, value) in enumerate(case.tokens()):
        if step == pin_at:
            for cache in (ours, theirs):
                cache.pinned[:, :, 1] = True
        at = torch.full((len(case.rows),), step, dtype=torch.int32)
        wanted = reference.h2o_decode(
            query, key, value, theirs, case.rows, at, case.rules
        )
        got = decode(query, key, value, ours, case.rows, at, case.rules)
        assert got.dtype == wanted.dtype
        torch.testing.assert_close(got, wanted, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(ours.scores, theirs.scores, atol=2e-5, rtol=1e-5)
        for name in ("keys", "values", "positions", "pinned", "filled"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
        if not torch.equal(ours.write, theirs.write):
            check_ties(case, theirs, ours.write, step)
            ours.write.copy_(theirs.write)


def check_ties(case: Case, cache: SlotCache, write: torch.Tensor, step: int) -> None:
    """Assert that the slots of `write` rank as those of the cache do, within 1e-6."""
    for i, row in enumerate(case.rows.tolist()):
        age = (step - cache.positions[row] + 1).float()
        scores = cache.scores[row]
        rank = scores / age if case.rules.victim[i] == Victim.MEAN else scores
        assert case.rules.victim[i] not in (Victim.AGE, Victim.LAST)
        for head, (one, other) in enumerate(
            zip(cache.write[row].tolist(), write[row].tolist(), strict=True)
        ):
            assert abs(float(rank[head, one] - rank[head, other])) <= 1e-6
