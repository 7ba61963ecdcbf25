"""Quoted text kept away from the learned reader: it is data, and must not sway what is read.

Each longer quotation is one X, so that a goal with a hostile quotation and the same goal with a
harmless one are one text to the network. Places stay: what it points at is found in the goal.
"""

from __future__ import annotations

import re
from dataclasses import replace

from search.domains.plan.reading.graphs.types import ReadGraph, ReadJob, ReadPart, Words

_LINE = re.compile(r"^[ \t]*>[ \t]?([^\n]+)", re.M)
_FENCE = re.compile(r"```([^`]{1,20000})(?:```|\Z)")
_QUOTES = (
    re.compile(r"\"([^\"\n]{1,2000})\""),
    re.compile(
        r"[\u201c\u201e\u00bb]([^\u201c\u201d\u00ab\n]{1,2000})[\u201d\u201c\u00ab]"
    ),
    re.compile(r"\u00ab([^\u00bb\n]{1,2000})\u00bb"),
    re.compile(r"`([^`\n]{1,2000})`"),
)
_SHORT = 2  # words that a name or an argument has


def masked(goal: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return a goal of the same length with each longer quotation as one X, and their places."""
    places: list[tuple[int, int]] = []
    text = goal
    for pattern in (_FENCE, _LINE, *_QUOTES):
        for match in pattern.finditer(text):
            start, end = match.span(1)
            long = pattern in (_FENCE, _LINE) or len(match[1].split()) > _SHORT
            if long and not any(a < end and start < b for a, b in places):
                places.append((start, end))
                text = text[:start] + "X" + " " * (end - start - 1) + text[end:]
    return text, tuple(sorted(places))


def unmasked(graph: ReadGraph, places: tuple[tuple[int, int], ...]) -> ReadGraph:
    """Return a graph whose words in a quotation are the whole quotation."""

    def whole(words: tuple[Words, ...]) -> tuple[Words, ...]:
        return tuple(
            next((Words(start=a, end=b) for a, b in places if a <= each.start < b), each)
            for each in words
        )

    def job(row: ReadJob) -> ReadJob:
        values = tuple(replace(value, words=whole(value.words)) for value in row.values)
        return replace(row, values=values)

    if not places:
        return graph
    return replace(
        graph,
        jobs=tuple(job(row) for row in graph.jobs),
        not_done=tuple(
            ReadPart(tag=part.tag, words=whole(part.words)) for part in graph.not_done
        ),
    )
