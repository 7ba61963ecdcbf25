"""Choice among the candidates of one leaf."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from search.domains.plan.outline.candidates import Candidate
from search.domains.plan.outline.describe import title
from search.domains.plan.outline.filters import Place, removed_by
from trimtab.plans import Rival

_WORD = re.compile(r"[a-z]{2,}")
# What is compared, in this order; the smaller value wins.
CRITERIA = (
    "leaves out more of the goal",
    "needs more answers",
    "needs more defaults",
    "is less specific",
    "is less like the goal's words",
    "is less likely to the language model",
    "was proposed by the language model",
    "comes later in the alphabet",
)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A leaf's candidate, and those that it won against."""

    candidate: Candidate
    rivals: tuple[Rival, ...]


def choose(candidates: Sequence[Candidate], place: Place, goal: str = "") -> Chosen | str:
    """Return the best candidate that passes all filters; else why the first one does not."""
    rivals: list[Rival] = []
    left: list[Candidate] = []
    for candidate in candidates:
        why = removed_by(candidate, place)
        if why is None:
            left.append(candidate)
        else:
            rivals.append(_rival(candidate, why))
    if not left:
        return rivals[0].removed_by if rivals else "no template fits"
    keys = {id(row): _key(row, place, goal) for row in left}
    best = min(left, key=lambda row: keys[id(row)])
    for row in left:
        if row is not best:
            pairs = zip(keys[id(row)], keys[id(best)], CRITERIA, strict=True)
            why = next((words for own, won, words in pairs if own != won), CRITERIA[-1])
            rivals.append(_rival(row, f"choice: it {why}"))
    return Chosen(candidate=best, rivals=tuple(rivals))


def similarity(one: str, other: str) -> float:
    """Return the cosine of two texts' counts of words, in [0, 1]."""
    a, b = (Counter(_WORD.findall(text.lower())) for text in (one, other))
    dot = sum(count * b[word] for word, count in a.items())
    norms = (sum(c * c for c in a.values()), sum(c * c for c in b.values()))
    return dot / math.sqrt(norms[0] * norms[1]) if all(norms) else 0.0


def _key(row: Candidate, place: Place, goal: str) -> tuple[float, ...]:
    clause = " ".join(goal[span.start : span.end] for span in place.wish.spans)
    return (
        len(row.unused),
        len(row.missing),
        len(row.defaults),
        -len(row.template.when),
        -similarity(title(row.template.title, row.request), clause),
        -(row.logprob if row.logprob is not None else 0.0),
        row.source == "model",
        sum(ord(letter) / 128 ** (i + 1) for i, letter in enumerate(row.id[:8])),
    )


def _rival(candidate: Candidate, why: str) -> Rival:
    return Rival(source=candidate.source, id=candidate.id, removed_by=why[:300])
