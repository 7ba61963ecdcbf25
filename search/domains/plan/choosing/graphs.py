"""Graphs that the learned reader offers for a goal; none without its weights."""

from __future__ import annotations

from collections.abc import Sequence

from cost_models.weights import FOLDER
from search.domains.plan.reading.graphs.decode import decoded
from search.domains.plan.reading.graphs.network import Weights
from search.domains.plan.reading.graphs.predict import BEAM, NAME, confidence, shipped
from search.domains.plan.reading.graphs.types import ReadGraph
from search.domains.plan.reading.graphs.words import Pieces, coded


def graphs_of(
    text: str, files: Sequence[str], weights: Weights, *, count: int = BEAM
) -> tuple[ReadGraph, ...]:
    """Return the likeliest graphs of a goal, the best first, all with its confidence."""
    row = coded(text, files, Pieces(weights.vocabulary))
    found = [] if row is None else decoded(weights, row, width=BEAM)
    if not found:
        return ()
    sure = confidence(weights, found)
    return tuple(each.machine.graph(each.log_probability, sure) for each in found[:count])


def shipped_graphs(text: str, files: Sequence[str]) -> tuple[ReadGraph, ...]:
    """Return the graphs by the shipped weights; none where they are not installed."""
    if not (FOLDER / f"{NAME}.safetensors").is_file():
        return ()
    return graphs_of(text, files, shipped())
