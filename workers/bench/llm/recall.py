"""Recall of early text: verbatim copying and a needle, with pins, with a late query, and without.

Three conditions for each rule:

* `one pass`: the cache evicts from the first token on and knows no question;
* `late query`: text and question are read under full attention, then the cache is cut once;
* `pinned`: as `one pass`, and the span that the answer needs is pinned.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from search.text_model import CacheBudget, CachePolicy, ScoreRule
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.oracle import FULL, Arm, simulate
from workers.bench.llm.quality import BUDGETS, Model, arm
from workers.bench.llm.texts import TextType, segments

COPIED = 64
"""Tokens that come twice in a copy."""
KNOWN = 8
"""Tokens of the copy that are the question; the rest is the answer."""
BEFORE, FILLER = 40, 300
"""Tokens of other text before the span, and between the span and its copy."""

_SNAPKV = CacheBudget(policy=CachePolicy.SNAPKV, slots=0, window=KNOWN)
_ONE_PASS = ("streaming", "h2o sum", "h2o mean", "h2o decay", "tova")
CONDITIONS: Mapping[str, Mapping[str, CacheBudget]] = MappingProxyType(
    {
        "one pass": {name: BUDGETS[name] for name in _ONE_PASS},
        "late query": {
            **{name: BUDGETS[name] for name in _ONE_PASS},
            "h2o window": CacheBudget(
                policy=CachePolicy.H2O, slots=0, score=ScoreRule.WINDOW, window=KNOWN
            ),
            "snapkv": _SNAPKV,
            # Wide enough to keep what follows the tokens that the question attends to.
            "snapkv pool 63": replace(_SNAPKV, pool=63),
        },
        "pinned": {name: BUDGETS[name] for name in ("streaming", "h2o sum", "h2o decay")},
    }
)
SHARES = (0.25, 0.5)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A text with a question whose answer stands in an early span."""

    task: str
    draw: int
    ids: list[int]
    span: range
    """Positions that the answer is read from."""
    answer: int
    """Tokens of the answer, at the end."""


def copies(model: Model, draws: int) -> Iterator[Case]:
    """Yield texts in which a span of prose is repeated after other prose."""
    texts = list(
        segments(
            model.encode,
            tokens=BEFORE + FILLER + COPIED,
            numbers=range(draws),
            types=[TextType.PROSE],
        )
    )
    for draw, text in enumerate(texts):
        span = list(texts[(draw + 1) % len(texts)].ids[-COPIED:])
        head, filler = text.ids[:BEFORE], text.ids[BEFORE : BEFORE + FILLER]
        yield Case(
            task="copy",
            draw=draw,
            ids=[*head, *span, *filler, *span],
            span=range(BEFORE, BEFORE + COPIED),
            answer=COPIED - KNOWN,
        )


def needles(model: Model, draws: int, *, seed: int, lines: int = 14) -> Iterator[Case]:
    """Yield ledgers of `lines` jobs, and the objective of one of them asked at the end."""
    rng = random.Random(f"needle {seed}")
    for draw in range(draws):
        letters = [a + str(b) for a in "BCDFGKLMPRST" for b in range(17, 99, 11)]
        jobs = {name: rng.randrange(1000, 9999) for name in rng.sample(letters, k=lines)}
        chosen = rng.choice(list(jobs)[lines // 4 : 3 * lines // 4])
        ids = list(model.encode("Ledger of finished jobs.\n"))
        span = range(0)
        for name, objective in jobs.items():
            line = model.encode(f"Job {name} finished with objective {objective}.\n")
            if name == chosen:
                span = range(len(ids), len(ids) + len(line))
            ids += line
        ids += model.encode(
            f"Question: what is the objective of job {chosen}?\n"
            f"Answer: Job {chosen} finished with objective"
        )
        answer = model.encode(f" {jobs[chosen]}")
        yield Case(
            task="needle", draw=draw, ids=[*ids, *answer], span=span, answer=len(answer)
        )


def arms(case: Case, share: float) -> list[tuple[str, str, Arm]]:
    """Return condition, rule and arm of everything compared at a share of a case's tokens."""
    slots = int(share * len(case.ids))
    prompt_tokens = len(case.ids) - case.answer
    made: list[tuple[str, str, Arm]] = []
    for condition, budgets in CONDITIONS.items():
        for name, budget in budgets.items():
            made.append(
                (
                    condition,
                    name,
                    arm(
                        budget,
                        slots=slots,
                        prompt=prompt_tokens if condition == "late query" else 0,
                        pinned=case.span if condition == "pinned" else (),
                    ),
                )
            )
    return made


def run(
    model: Model,
    cases: Iterator[Case],
    *,
    shares: Sequence[float] = SHARES,
    done: Collection[tuple[str, int]] = (),
) -> Iterator[dict[str, Any]]:
    """Yield a line for each case that is not done: loss and accuracy of each arm's answer."""
    for case in cases:
        if (case.task, case.draw) in done:
            continue
        clock = CpuClock()
        compared = [("", "full", 1.0, FULL)]
        for share in shares:
            compared += [
                (condition, name, share, one)
                for condition, name, one in arms(case, share)
            ]
        ids = torch.tensor(case.ids)
        first = len(ids) - case.answer
        simulation = simulate(
            model.config, model.weights, ids, [one for *_, one in compared]
        )
        nats, hits = simulation.losses(model.weights, ids, first)
        yield {
            "task": case.task,
            "draw": case.draw,
            "tokens": len(ids),
            "answer_tokens": case.answer,
            "rules": [
                {
                    "condition": condition,
                    "rule": name,
                    "share": share,
                    "slots": one.capacity or len(ids),
                    "nats": round(float(nats[i].mean()), 4),
                    "accuracy": round(float(hits[i].float().mean()), 4),
                    "exact": bool(hits[i].all()),
                }
                for i, (condition, name, share, one) in enumerate(compared)
            ],
            "cpu_s": round(clock.seconds(), 2),
        }
