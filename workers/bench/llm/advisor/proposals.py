"""Budgets by proposal: slots of each layer, the same total for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.dynamics.concentration import equal_loss, least_loss
from workers.bench.llm.advisor.divergence import GRID
from workers.bench.llm.advisor.lines import Line
from workers.llm.policies import LEAST_LAYER_SLOTS

_NOISE_SHARE = 0.95
UNIFORM, PREDICTED, FREQUENCY, MEASURED, LEAST, SENSITIVITY = (
    "uniform",
    "profile law",
    "frequency",
    "measured",
    "measured, least loss",
    "divergence of one layer",
)


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
