"""Engine beside the layer-wise oracle on a real text: logits and what each head still holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from search.text_model import CacheBudget, CachePolicy
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.model import Endless, bare_engine
from workers.bench.llm.oracle import linear, simulate
from workers.bench.llm.quality import AFTER_PROMPT, BUDGETS, Model, arm
from workers.llm.engine import Options
from workers.llm.kv_cache import KeyValueCache
from workers.llm.policies import Rule, resolve

EVERY = 8
"""Steps between comparisons."""


def run(model: Model, ids: list[int], *, slots: int) -> Iterator[dict[str, Any]]:
    """Yield a line for each rule: teacher forcing through decode steps, against the oracle.

    Args:
        model: float32 weights.
        ids: text that both read.
        slots: budget of every rule.
    """
    budgets: Mapping[str, CacheBudget] = {
        "full": CacheBudget(policy=CachePolicy.FULL, slots=0),
        **{name: budget for name, budget in BUDGETS.items() if AFTER_PROMPT not in name},
    }
    clock = CpuClock()
    arms = [arm(budget, slots=slots) for budget in budgets.values()]
    simulation = simulate(model.config, model.weights, torch.tensor(ids), arms)
    oracle_cpu_s = clock.seconds()
    rules = [_rule(budget, slots=slots, tokens=len(ids)) for budget in budgets.values()]
    decoder = bare_engine(
        model.config,
        model.weights,
        Endless(),
        options=Options(sequences=len(rules), slots=len(ids)),
    ).decoder
    cache = decoder.cache
    worst = torch.zeros(len(rules))
    differing = [0] * len(rules)
    compared = 0
    rows = list(range(len(rules)))
    clock = CpuClock()
    with torch.inference_mode():
        for t, token in enumerate(ids):
            hidden = decoder.decode([token] * len(rules), rows, [t] * len(rules), rules)
            if t % EVERY != EVERY - 1:
                continue
            expected = linear(simulation.hidden[:, t], model.weights.head)
            difference = (decoder.logits(hidden) - expected).abs().amax(-1)
            worst = torch.maximum(worst, difference)
            for row in rows:
                differing[row] += _differing(cache, simulation.left[:, row], row, t)
            compared += simulation.left[:, 0, :, 0].numel()
    for row, name in enumerate(budgets):
        yield {
            "rule": name,
            "slots": slots,
            "tokens": len(ids),
            "logit_difference": float(worst[row]),
            "heads_compared": compared,
            "heads_differing": differing[row],
            "oracle_cpu_s": round(oracle_cpu_s, 1),
            "engine_cpu_s": round(clock.seconds(), 1),
        }


def _rule(budget: CacheBudget, *, slots: int, tokens: int) -> Rule:
    return resolve(replace(budget, slots=slots), pinned=[], tokens=tokens, limit=tokens)


def _differing(cache: KeyValueCache, left: torch.Tensor, row: int, t: int) -> int:
    """Return the heads whose held positions are not the oracle's, after step t.

    `left` is [layers, KV, T]. The slot that the next token overwrites has left in the oracle.
    """
    count = 0
    for layer, slots in enumerate(cache.layers):
        filled = int(slots.filled[row])
        for head in range(left.shape[1]):
            held = slots.positions[row, head, :filled].tolist()
            write = int(slots.write[row, head])
            if write < filled:
                held[write] = -1
            stays = left[layer, head, : t + 1] > t
            expected = torch.nonzero(stays)[:, 0].tolist()
            count += sorted(position for position in held if position >= 0) != expected
    return count
