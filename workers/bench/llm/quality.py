"""Loss against budget: every eviction rule on the same texts, by the layer-wise oracle.

Rules of one pass evict from the first token on, within a budget that is a share of the text. The
rules that read a prompt first (`after prompt` in a name) see the first half under full attention,
which is the half that is not scored. The loss is of the second half.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from search.text_model import CacheBudget, CachePolicy, ScoreRule
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.oracle import FULL, Arm, simulate
from workers.bench.llm.texts import Segment
from workers.llm.decoder_types import DecoderConfig, DecoderWeights
from workers.llm.policies import resolve

AFTER_PROMPT = ", after prompt"
BUDGETS: Mapping[str, CacheBudget] = MappingProxyType(
    {
        "local": CacheBudget(policy=CachePolicy.LOCAL, slots=0),
        "streaming": CacheBudget(policy=CachePolicy.STREAMING, slots=0),
        # As published: no sinks.
        "h2o sum": CacheBudget(
            policy=CachePolicy.H2O, slots=0, score=ScoreRule.SUM, sinks=0
        ),
        "h2o mean": CacheBudget(policy=CachePolicy.H2O, slots=0, score=ScoreRule.MEAN),
        "h2o decay": CacheBudget(policy=CachePolicy.H2O, slots=0),
        "tova": CacheBudget(policy=CachePolicy.TOVA, slots=0),
        "h2o decay" + AFTER_PROMPT: CacheBudget(policy=CachePolicy.H2O, slots=0),
        "snapkv" + AFTER_PROMPT: CacheBudget(policy=CachePolicy.SNAPKV, slots=0),
    }
)
"""Rules of the table by name; slots are set by the share of a run."""
TUNED: Mapping[str, CacheBudget] = MappingProxyType(
    {
        "streaming": BUDGETS["streaming"],
        "h2o sum": BUDGETS["h2o sum"],
        **{
            f"h2o decay={decay} recent={share}": CacheBudget(
                policy=CachePolicy.H2O, slots=0, decay=decay, recent_share=share
            )
            for decay, share in (
                (0.9, 0.5),
                (0.95, 0.5),
                (0.98, 0.5),
                (0.99, 0.5),
                (0.98, 0.25),
                (0.98, 0.75),
                (0.95, 0.25),
                (0.95, 0.75),
            )
        },
        **{
            f"h2o mean recent={share}": CacheBudget(
                policy=CachePolicy.H2O,
                slots=0,
                score=ScoreRule.MEAN,
                recent_share=share,
            )
            for share in (0.25, 0.5)
        },
    }
)
"""Candidates for the default, compared on the tuning segments alone."""
SHARES = (0.2, 0.1)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A decoder and its tokenizer."""

    config: DecoderConfig
    weights: DecoderWeights
    encode: Callable[[str], Sequence[int]]


def arm(
    budget: CacheBudget,
    *,
    slots: int,
    prompt: int = 0,
    chunk: int = 0,
    pinned: Collection[int] = (),
) -> Arm:
    """Return the arm of the oracle that a budget of the engine means."""
    if budget.policy is CachePolicy.FULL:
        return FULL
    marks = [position in pinned for position in range(max(pinned, default=-1) + 1)]
    # More tokens than slots, so that the budget is checked as one that evicts.
    rule = resolve(
        replace(budget, slots=slots), pinned=marks, tokens=slots + 1, limit=slots
    )
    return Arm(
        victim=rule.victim,
        capacity=rule.capacity,
        recent=rule.recent,
        sinks=rule.sinks,
        decay=rule.decay,
        window=rule.window if prompt else 0,
        pool=rule.pool if prompt else 1,
        prompt=prompt,
        chunk=chunk,
        pinned=frozenset(pinned),
    )


def run(
    model: Model,
    segments: Iterator[Segment],
    *,
    budgets: Mapping[str, CacheBudget] = BUDGETS,
    shares: Sequence[float] = SHARES,
    done: Collection[tuple[str, int]] = (),
) -> Iterator[dict[str, Any]]:
    """Yield a line for each segment that is not done: loss and accuracy of every rule and share."""
    for segment in segments:
        if (segment.type.value, segment.number) in done:
            continue
        clock = CpuClock()
        tokens = len(segment.ids)
        names = [("full", 1.0)] + [(name, share) for share in shares for name in budgets]
        arms = [FULL] + [
            arm(
                budgets[name],
                slots=int(share * tokens),
                prompt=tokens // 2 if name.endswith(AFTER_PROMPT) else 0,
            )
            for name, share in names[1:]
        ]
        ids = torch.tensor(segment.ids)
        simulation = simulate(model.config, model.weights, ids, arms)
        nats, hits = simulation.losses(model.weights, ids, tokens // 2)
        yield {
            "type": segment.type.value,
            "segment": segment.number,
            "tokens": tokens,
            "digest": segment.digest,
            "rules": [
                {
                    "rule": name,
                    "share": share,
                    "slots": one.capacity or tokens,
                    "nats": round(float(nats[i].mean()), 5),
                    "accuracy": round(float(hits[i].float().mean()), 5),
                }
                for i, ((name, share), one) in enumerate(zip(names, arms, strict=True))
            ],
            "cpu_s": round(clock.seconds(), 2),
        }
