"""What a shorter cache changes: KL to the full cache, per token of the second half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from workers.bench.llm.advisor.lines import rounded
from workers.bench.llm.oracle import FULL, Arm, simulate
from workers.bench.llm.quality import Model, arm
from workers.bench.llm.texts import Segment
from workers.llm import budgets
from workers.llm.policies import LEAST_LAYER_SLOTS

GRID = (0.1, 0.2)  # of a text: short caches of one layer alone


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


def layered(segment: Segment, slots: Sequence[int]) -> Arm:
    """Return an arm with so many slots in each layer, under the measured rule of the text."""
    layers = tuple(_rule(segment, int(count)) for count in slots)
    return replace(layers[0], layers=layers)


def alone(model: Model, segment: Segment) -> list[list[float]]:
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
        rounded(values[i * len(GRID) : (i + 1) * len(GRID)], 6) for i in range(layers)
    ]


def _rule(segment: Segment, slots: int) -> Arm:
    """The engine's measured rule for a type of text, with so many slots."""
    return arm(budgets.default(slots=slots, text=segment.type.value), slots=slots)
