"""Budget advisor of the H2O cache: slots per layer at a fixed total, against equal ones.

Calibration, on the tuning segments alone: under the full cache, how many tokens carry 1 − ε of the
attention of each layer and head, measured, and predicted by Scan and Snap's profile law
(`gnn.dynamics.concentration`); and the divergence that a short cache of one layer alone causes.
Proposals follow from each. The proposal that diverges least on the tuning segments is compared with
equal budgets on the test segments: KL(full cache ‖ short cache) per token of the second half.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from gnn.dynamics.concentration import (
    Contexts,
    equal_loss,
    fit,
    least_loss,
    needed,
    predicted,
    top_mass,
)
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.oracle import FULL, Arm, simulate
from workers.bench.llm.quality import Model, arm
from workers.bench.llm.texts import Segment
from workers.bench.stats import ratio_of_means
from workers.llm import budgets
from workers.llm.policies import LEAST_LAYER_SLOTS

Line = dict[str, Any]
EPSILON = 0.05
SHARES = (0.2, 0.1)
SINKS, MOST_RECENT = 4, 32
"""First and newest tokens that the profile law knows nothing of; the newest an eighth at most."""
QUERIES_EVERY = 8  # queries of a calibration text that are looked at
KINDS = 24
"""Most frequent query tokens with a P(l | m) of their own; the others share one."""
GRID = (0.1, 0.2)  # of a text: short caches of one layer alone
_NOISE_SHARE = 0.95
UNIFORM, PREDICTED, FREQUENCY, MEASURED, LEAST, SENSITIVITY = (
    "uniform",
    "profile law",
    "frequency",
    "measured",
    "measured, least loss",
    "divergence of one layer",
)


@dataclass(kw_only=True, eq=False)
class _Seen:
    """Attention of the full cache on one text, for some queries of its second half."""

    queries: NDArray[np.int64]
    attention: list[NDArray[np.float32]]  # of each layer, (KV, G, Q, T)


def calibrate(model: Model, segments: Iterable[Segment]) -> Iterator[Line]:
    """Yield a line for each text: concentration by layer and head, and what one layer costs."""
    for segment in segments:
        clock = CpuClock()
        seen = _watch(model, segment)
        yield {
            "stage": "calibrate",
            "type": segment.type.value,
            "segment": segment.number,
            "digest": segment.digest,
            "tokens": len(segment.ids),
            **_concentration(segment, seen),
            "alone": _alone(model, segment),
            "cpu_s": round(clock.seconds(), 2),
        }


def _watch(model: Model, segment: Segment) -> _Seen:
    tokens = len(segment.ids)
    queries = np.arange(tokens // 2, tokens, QUERIES_EVERY)
    config = model.config
    layers = [
        np.zeros((config.kv_heads, config.group, len(queries), tokens), np.float32)
        for _ in range(config.layers)
    ]

    def observe(layer: int, attention: torch.Tensor, first: int) -> None:
        last = attention.shape[-1]
        for place in np.flatnonzero((queries >= first) & (queries < last)):
            row = attention[0, :, :, queries[place] - first]
            layers[layer][:, :, place, :last] = row.numpy()

    ids = torch.tensor(segment.ids)
    simulate(config, model.weights, ids, [FULL], observe=observe)
    return _Seen(queries=queries, attention=layers)


def _concentration(segment: Segment, seen: _Seen) -> Line:
    """Measured and predicted concentration of every layer and head."""
    contexts, window = _contexts(segment, seen.queries)
    outside = SINKS + _recent(segment)
    by_growth: dict[float, Any] = {}
    layers = []
    for attention in seen.attention:
        kv, group, count, tokens = attention.shape
        heads = attention.reshape(kv * group, count, tokens).astype(float)
        inside = heads * window  # without sinks and the newest
        share = inside.sum(axis=2)
        fitted = fit(contexts, inside / np.maximum(share, 1e-9)[..., None])
        measured = needed(heads, EPSILON).mean(axis=1)
        law = [
            outside + _needed_by_law(contexts, one.growth, share[h], by_growth)
            for h, one in enumerate(fitted)
        ]
        plain = [outside + _needed_by_law(contexts, 1.0, row, by_growth) for row in share]
        # Mean loss of mass with k tokens, of the attention that the heads of a cache pay together.
        together = attention.astype(float).mean(axis=1)  # (KV, Q, T)
        layers.append(
            {
                "measured": _rounded(measured),
                "predicted": _rounded(law),
                "by_frequency": _rounded(plain),
                "inside": _rounded(share.mean(axis=1), 3),
                "growth": _rounded([one.growth for one in fitted]),
                "explained": _rounded([one.explained for one in fitted], 3),
                "rank": _rounded(_ranks(contexts, inside), 3),
                "loss": _rounded(1 - top_mass(together).mean(axis=(0, 1)), 5),
            }
        )
    return {"layers": layers}


def _contexts(
    segment: Segment, queries: NDArray[np.int64]
) -> tuple[Contexts, NDArray[np.float64]]:
    """(contexts without sinks and newest tokens, (Q, T) mask of the positions in them)."""
    words, ids = np.unique(np.array(segment.ids), return_inverse=True)
    counts = np.bincount(ids[queries], minlength=len(words))
    frequent = [w for w in np.argsort(-counts, kind="stable")[:KINDS] if counts[w] > 1]
    kind = {word: number + 1 for number, word in enumerate(frequent)}
    positions = np.arange(len(ids))
    window = (positions >= SINKS) & (
        positions[None] <= queries[:, None] - _recent(segment)
    )
    tokens = np.where(window, ids[None, :], -1)
    _, kinds = np.unique([kind.get(ids[q], 0) for q in queries], return_inverse=True)
    return Contexts(tokens=tokens, query=kinds), window.astype(float)


def _recent(segment: Segment) -> int:
    return min(MOST_RECENT, len(segment.ids) // 8)


def _needed_by_law(
    contexts: Contexts, growth: float, share: NDArray[Any], cache: dict[float, Any]
) -> float:
    """Tokens by the law among those that it knows of, mean over the queries."""
    if growth not in cache:
        cache[growth] = top_mass(predicted(contexts, growth))
    mass = cache[growth]  # (Q, T)
    # What the window may lose: all of ε falls into it.
    allowed = np.minimum(1.0, EPSILON / np.maximum(share, 1e-9))
    inside = np.where(allowed < 1, 1 + (mass < 1 - allowed[:, None]).sum(axis=1), 0)
    return float(inside.mean())


def _ranks(contexts: Contexts, inside: NDArray[np.float64]) -> list[float]:
    """Rank correlation of a token's attention from a head with how often it occurs."""
    flat = contexts.tokens.ravel()
    kept = flat >= 0
    words = int(flat.max()) + 1
    often = np.bincount(flat[kept], minlength=words)
    present = often > 0
    out = []
    for head in inside:
        sums = np.bincount(flat[kept], weights=head.ravel()[kept], minlength=words)
        out.append(float(spearmanr(sums[present], often[present]).statistic))
    return out


def _rounded(values: Any, digits: int = 2) -> list[float]:
    return [round(float(value), digits) for value in values]


def _rule(segment: Segment, slots: int) -> Arm:
    """The engine's measured rule for a type of text, with so many slots."""
    return arm(budgets.default(slots=slots, text=segment.type.value), slots=slots)


def layered(segment: Segment, slots: Sequence[int]) -> Arm:
    """Return an arm with so many slots in each layer, under the measured rule of the text."""
    layers = tuple(_rule(segment, int(count)) for count in slots)
    return replace(layers[0], layers=layers)


def _alone(model: Model, segment: Segment) -> list[list[float]]:
    """Divergence with a short cache in one layer alone: (layers, len(GRID)) nats per token."""
    tokens, layers = len(segment.ids), model.config.layers
    arms = [FULL]
    for layer in range(layers):
        for share in GRID:
            here = _rule(segment, max(LEAST_LAYER_SLOTS, int(share * tokens)))
            others = tuple(here if number == layer else FULL for number in range(layers))
            arms.append(replace(here, layers=others))
    values = divergences(model, segment, arms)[1:]
    return [
        _rounded(values[i * len(GRID) : (i + 1) * len(GRID)], 6) for i in range(layers)
    ]


def divergences(
    model: Model, segment: Segment, arms: Sequence[Arm], *, at_once: int = 31
) -> list[float]:
    """Return KL(full ‖ arm) per token of the second half, for arms of which the first is full."""
    ids = torch.tensor(segment.ids)
    first = len(ids) // 2 - 1
    out = [0.0]
    for start in range(1, len(arms), at_once):
        part = [FULL, *arms[start : start + at_once]]
        simulation = simulate(model.config, model.weights, ids, part)
        full = torch.log_softmax(simulation.logits(model.weights, 0, first)[:-1], -1)
        for number in range(1, len(part)):
            law = torch.log_softmax(
                simulation.logits(model.weights, number, first)[:-1], -1
            )
            out.append(float((full.exp() * (full - law)).sum(-1).mean()))
    return out


def proposals(lines: Sequence[Line], share: float) -> dict[str, list[int]]:
    """Return budgets by proposal: slots of each layer, the same total for all.

    lines: of `calibrate`. share: slots of an equal budget, as a share of the text.
    """
    tokens = int(lines[0]["tokens"])
    layers = len(lines[0]["layers"])
    total = layers * int(share * tokens)

    def of(key: str) -> NDArray[np.float64]:
        by_text = [[np.mean(layer[key]) for layer in line["layers"]] for line in lines]
        mean: NDArray[np.float64] = np.array(by_text).mean(axis=0)
        return mean

    loss = np.array([[layer["loss"] for layer in line["layers"]] for line in lines])
    alone = np.array([line["alone"] for line in lines]).mean(axis=0)  # (layers, grid)
    return {
        UNIFORM: [int(share * tokens)] * layers,
        PREDICTED: _proportional(of("predicted"), total, tokens),
        FREQUENCY: _proportional(of("by_frequency"), total, tokens),
        MEASURED: equal_loss(loss.mean(axis=0), total, least=LEAST_LAYER_SLOTS).tolist(),
        LEAST: least_loss(loss.mean(axis=0), total, least=LEAST_LAYER_SLOTS).tolist(),
        SENSITIVITY: least_loss(
            _curves(alone, tokens), total, least=LEAST_LAYER_SLOTS
        ).tolist(),
    }


def _proportional(wanted: NDArray[Any], total: int, tokens: int) -> list[int]:
    """Budgets in proportion to what each layer needs."""
    curves = np.maximum(0.0, 1 - np.arange(1, tokens + 1)[None] / wanted[:, None])
    budgets_of: list[int] = equal_loss(curves, total, least=LEAST_LAYER_SLOTS).tolist()
    return budgets_of


def _curves(alone: NDArray[np.float64], tokens: int) -> NDArray[np.float64]:
    """Divergence of each layer with 1, …, T slots: power laws through the measured points."""
    at = np.array([max(LEAST_LAYER_SLOTS, int(share * tokens)) for share in GRID], float)
    # In bfloat16 any change, however small, diverges by about as much: the least of all layers.
    above = np.minimum.accumulate(alone, axis=1) - _NOISE_SHARE * alone.min()
    # Divergence falls about like a power of the slots; the last piece continues to the whole text.
    logs = np.log(np.maximum(above, 1e-9))
    k = np.log(np.arange(1, tokens + 1))
    out = np.empty((len(alone), tokens))
    for row, values in enumerate(logs):
        slopes = np.diff(values) / np.diff(np.log(at))
        inner = np.interp(k, np.log(at), values)
        left = values[0] + slopes[0] * (k - np.log(at[0]))
        right = values[-1] + slopes[-1] * (k - np.log(at[-1]))
        log = np.where(
            k < np.log(at[0]), left, np.where(k > np.log(at[-1]), right, inner)
        )
        out[row] = np.exp(log)
    return out


def compare(
    model: Model,
    segments: Iterable[Segment],
    advice: Mapping[float, Mapping[str, Sequence[int]]],
    *,
    stage: str,
    done: Collection[tuple[str, int]] = (),
) -> Iterator[Line]:
    """Yield a line for each text: divergence of every proposal at every share.

    advice: proposals by share. done: (type, number) of texts that are left out.
    """
    for segment in segments:
        if (segment.type.value, segment.number) in done:
            continue
        clock = CpuClock()
        named = [
            (share, name, slots)
            for share, by_name in advice.items()
            for name, slots in by_name.items()
        ]
        arms = [FULL, *(layered(segment, slots) for _, _, slots in named)]
        values = divergences(model, segment, arms)[1:]
        yield {
            "stage": stage,
            "type": segment.type.value,
            "segment": segment.number,
            "tokens": len(segment.ids),
            "digest": segment.digest,
            "kl": [
                {"share": share, "proposal": name, "nats": round(value, 6)}
                for (share, name, _), value in zip(named, values, strict=True)
            ],
            "cpu_s": round(clock.seconds(), 2),
        }


def run(
    model: Model,
    segments: Mapping[str, Sequence[Segment]],
    *,
    shares: Sequence[float] = SHARES,
    lines: Sequence[Line] = (),
) -> Iterator[Line]:
    """Yield the lines of all stages that are not among `lines`, and last the card.

    segments: of the stages `calibrate`, `choose` and `test`.
    """
    earlier = list(lines)

    def of(stage: str) -> list[Line]:
        return [line for line in earlier if line["stage"] == stage]

    def left(stage: str) -> list[Segment]:
        done = {(line["type"], line["segment"]) for line in of(stage)}
        return [s for s in segments[stage] if (s.type.value, s.number) not in done]

    for line in calibrate(model, left("calibrate")):
        earlier.append(line)
        yield line
    advice = {share: proposals(of("calibrate"), share) for share in shares}
    for stage in ("choose", "test"):
        for line in compare(model, left(stage), advice, stage=stage):
            earlier.append(line)
            yield line
    yield card(of("calibrate"), of("choose"), of("test"), advice)


def card(
    calibrated: Sequence[Line],
    chosen_on: Sequence[Line],
    tested: Sequence[Line],
    advice: Mapping[float, Mapping[str, Sequence[int]]],
) -> Line:
    """Return the card: the chosen proposal against equal budgets, and how the law fits."""
    names = [name for name in next(iter(advice.values())) if name != UNIFORM]
    figures = {
        str(share): {name: _ratio(tested, share, name) for name in names}
        for share in advice
    }
    chosen = {
        str(share): min(names, key=lambda name: _ratio(chosen_on, share, name)["ratio"])
        for share in advice
    }
    return {
        "stage": "card",
        "goal": "KL at equal total at least 10 % lower than with equal budgets",
        "chosen": chosen,
        "helps": {
            share: figures[share][name]["high"] <= 0.9 for share, name in chosen.items()
        },
        "figures": figures,
        "slots": {
            share: list(advice[float(share)][name]) for share, name in chosen.items()
        },
        "least": LEAST_LAYER_SLOTS,
        "tokens": int(calibrated[0]["tokens"]),
        "law": _law(calibrated),
    }


def _ratio(lines: Sequence[Line], share: float, name: str) -> Line:
    """Mean divergence over that of equal budgets, with a paired bootstrap interval over texts."""

    def of(proposal: str) -> list[float]:
        return [
            one["nats"]
            for line in lines
            for one in line["kl"]
            if one["share"] == share and one["proposal"] == proposal
        ]

    own, equal = of(name), of(UNIFORM)
    ratio, low, high = ratio_of_means(own, equal, draws=10_000)
    return {
        "ratio": round(ratio, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "nats": round(float(np.mean(own)), 5),
        "equal_nats": round(float(np.mean(equal)), 5),
        "texts": len(own),
    }


def _law(lines: Sequence[Line]) -> Line:
    """Fit of the profile law: by layer, and in the first two layers."""

    def of(key: str) -> NDArray[np.float64]:
        return np.array([[layer[key] for layer in line["layers"]] for line in lines])

    factor = of("predicted") / of("measured")  # (texts, layers, heads)
    near = (factor < 1.5) & (factor > 1 / 1.5)
    return {
        "epsilon": EPSILON,
        "measured": _rounded(of("measured").mean(axis=(0, 2)), 1),
        "predicted": _rounded(of("predicted").mean(axis=(0, 2)), 1),
        "by_frequency": _rounded(of("by_frequency").mean(axis=(0, 2)), 1),
        "explained": _rounded(of("explained").mean(axis=(0, 2)), 3),
        "rank": _rounded(of("rank").mean(axis=(0, 2)), 3),
        "within_1_5_first_layers": round(float(near[:, :2].mean()), 3),
        "within_1_5_all": round(float(near.mean()), 3),
        "rank_first_layers": round(float(of("rank")[:, :2].mean()), 3),
    }


def layer_budgets(cards: Mapping[str, Line]) -> Line:
    """Return what the engine reads of cards by type of text: `workers/llm/layer_budgets.json`."""
    columns = ("goal", "chosen", "helps", "slots", "least", "tokens")
    return {
        "about": "Generated by `python -m workers.bench llm advisor --publish`: slots of each "
        "layer at a fixed total, and mean KL to the full cache over that of equal slots, with "
        "95 % intervals over texts.",
        "model": "smollm2-135m-instruct",
        "texts": {
            text: {name: card[name] for name in columns}
            | {
                "ratio": {
                    share: card["figures"][share][name]
                    for share, name in card["chosen"].items()
                }
            }
            for text, card in cards.items()
        },
    }
