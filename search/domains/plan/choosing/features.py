"""What speaks for a reading, as numbers for a logistic regression."""

from __future__ import annotations

import math

from search.domains.plan.choosing.forms import Comparison
from search.domains.plan.choosing.quoted import masked
from search.domains.plan.reading.graphs.types import ReadGraph
from search.domains.plan.types import Reading

NAMES = (
    "bias",
    "confidence",  # of the learned reader, as log odds
    "log probability a job",
    "jobs",
    "words",
    "jobs of the model alone",
    "jobs of the rules alone",
    "values of the model alone",
    "values of the rules alone",
    "values that differ",
    "values that agree",
    "files differ",
    "order differs",
    "parts of the model alone",
    "parts of the rules alone",
    "same graph",
    "the model asks",
    "the rules ask",
    "words that the rules do not understand",
    "words that the model leaves out",
    "notes of the rules",
    "no jobs by rules",
    "no jobs by the model",
)


def features(
    graph: ReadGraph, learned: Reading, rules: Reading, comparison: Comparison
) -> tuple[float, ...]:
    """Return the features of two readings. comparison: of the learned one with the rules'."""
    confidence = min(max(graph.confidence, 1e-4), 1 - 1e-4)
    pairs = comparison.pairs
    return (
        1.0,
        math.log(confidence / (1 - confidence)) / 4,
        max(-8.0, graph.log_probability) / max(1, len(graph.jobs)) / 4,
        min(len(learned.wishes), 8) / 4,
        math.log(1 + len(masked(learned.goal)[0].split())) / 4,
        _few(len(comparison.alone)),
        _few(len(comparison.other_alone)),
        _few(sum(len(p.only_one) for p in pairs)),
        _few(sum(len(p.only_other) for p in pairs)),
        _few(sum(len(p.differing) for p in pairs)),
        _few(sum(p.agreeing for p in pairs), 8),
        _few(sum(p.files_differ for p in pairs)),
        float(comparison.order_differs),
        _few(comparison.parts_alone),
        _few(comparison.parts_other_alone),
        float(comparison.same_graph),
        float(bool(learned.questions)),
        float(bool(rules.questions)),
        _few(len(rules.not_understood)),
        _few(len(learned.not_understood)),
        _few(len(rules.notes)),
        float(not rules.wishes),
        float(not learned.wishes),
    )


def _few(count: int, most: int = 3) -> float:
    return min(count, most) / most
