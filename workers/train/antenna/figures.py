"""Figures of a surrogate on held-out designs: errors, passivity, and the order of band scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray

from workers.train.antenna.dataset import Samples, first_feed
from workers.train.antenna.fit import FLOOR, Net

Bands = tuple[tuple[float, float], ...]  # GHz
_BATCH = 256


def predict(
    net: Net, samples: Samples, rows: NDArray[np.intp], *, fine: bool = False
) -> NDArray[np.complex64]:
    """Return S11 or log|S11| of the first feed at all frequencies, (rows, frequencies)."""
    x = np.linspace(-1, 1, samples.curves.shape[1])[None]
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            cells = samples.feeds[some][:, :1].astype(np.int64)
            masks, given = (
                samples.masks[some].astype(np.float32),
                first_feed(samples, some),
            )
            parts.append(net(masks, cells, given, x, fine=fine)[:, 0].numpy())
    return np.concatenate(parts)


def errors(
    predicted: NDArray[np.complex64], truth: NDArray[np.complex64]
) -> dict[str, float]:
    """Return mean |ΔS11|, mean |Δ dB| with the floor at −26 dB, and the share above 1."""
    figures = {
        "db_mae": float(np.abs(decibel(predicted) - decibel(truth)).mean()),
    }
    if np.iscomplexobj(predicted):
        figures["complex_mae"] = float(np.abs(predicted - truth).mean())
        figures["share_above_1"] = float((np.abs(predicted) > 1).mean())
    else:
        figures["share_above_1"] = float((predicted > 0).mean())
    return figures


def decibel(values: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Return 20·log10 |S11| between −26 and 0 dB, from S11 or from log|S11|."""
    size = np.abs(values) if np.iscomplexobj(values) else np.exp(values)
    return 20 * np.log10(np.clip(size, FLOOR, 1))


def band_scores(
    level_db: NDArray[np.float64], frequencies_hz: NDArray[np.float64], bands: Bands
) -> NDArray[np.float64]:
    """Return the largest level in the bands, (n, frequencies) → (n,), edges interpolated."""
    worst = np.full(len(level_db), -np.inf)
    for low, high in bands:
        at = np.linspace(low * 1e9, high * 1e9, 41)
        place = np.interp(at, frequencies_hz, np.arange(len(frequencies_hz)))
        left = np.minimum(place.astype(int), len(frequencies_hz) - 2)
        share = place - left
        levels = level_db[:, left] * (1 - share) + level_db[:, left + 1] * share
        worst = np.maximum(worst, levels.max(axis=1))
    return worst


def rank_correlations(
    predicted: NDArray[np.complex64],
    truth: NDArray[np.complex64],
    frequencies_hz: NDArray[np.float64],
    tasks: Mapping[int, Bands],
) -> dict[int, float]:
    """Return Spearman's correlation of predicted and true band scores for each task."""
    a, b = decibel(predicted), decibel(truth)
    return {
        task: float(
            scipy.stats.spearmanr(
                band_scores(a, frequencies_hz, bands),
                band_scores(b, frequencies_hz, bands),
            )[0]
        )
        for task, bands in tasks.items()
    }
