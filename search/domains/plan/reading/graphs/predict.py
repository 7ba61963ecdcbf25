"""A goal's text → the graph of jobs that the learned model reads in it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

from cost_models.weights import FOLDER, load_weights
from search.domains.plan.reading.graphs.decode import Found, decoded
from search.domains.plan.reading.graphs.network import Weights
from search.domains.plan.reading.graphs.types import ReadGraph
from search.domains.plan.reading.graphs.words import Pieces, coded

NAME = "plan-graphs"
PARTS = (NAME, *(f"{NAME}-{number}" for number in range(2, 6)))
"""Files of the weights, each below the 4 MiB that one file in the tree may have."""
BEAM = 3


def read_graph(
    text: str, files: Sequence[str], *, weights: Weights | None = None, width: int = BEAM
) -> ReadGraph | None:
    """Return the likeliest graph of a goal; None for a text without words, or too long to read.

    Pure and deterministic: no clock, no random choice, no file but the weights. Nothing is checked
    against limits of fields: the caller converts words to values and refuses what does not fit.

    files: names of the attached files, in their order; those after the eighth are not seen.
    weights: by default the shipped ones. Raises WeightsRefused if they are not as published.
    """
    weights = weights or shipped()
    row = coded(text, files, Pieces(weights.vocabulary))
    if row is None:
        return None
    found = decoded(weights, row, width=width)
    if not found:
        return None
    best = found[0]
    return best.machine.graph(best.log_probability, confidence(weights, found))


def signs_of(found: Sequence[Found]) -> tuple[float, ...]:
    """Return what the confidence rests on: log-probabilities of the whole, and of its worst step.

    The lead over the second-best sequence, at most 10, is the third.
    """
    best = found[0]
    lead = best.log_probability - found[1].log_probability if len(found) > 1 else 10.0
    return (best.log_probability, best.least, min(lead, 10.0), math.sqrt(len(best.steps)))


def confidence(weights: Weights, found: Sequence[Found]) -> float:
    """Return the probability that the best sequence is right: a logit fitted on unseen authors."""
    constant, *slopes = weights.calibration
    score = constant + sum(a * b for a, b in zip(slopes, signs_of(found), strict=True))
    return 1.0 / (1.0 + math.exp(-max(min(score, 30.0), -30.0)))


@functools.cache
def shipped() -> Weights:
    """Return the shipped weights. Raises WeightsRefused."""
    return weights_in(FOLDER)


def weights_in(folder: Path) -> Weights:
    """Return the weights that a training has published in a folder. Raises WeightsRefused."""
    parts = [load_weights(part, folder=folder) for part in PARTS]
    return Weights.of({name: array for part in parts for name, array in part.items()})
