"""Moves of the (1+1) search: neighbours of a recipe, one change away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.edits import Candidate, Edit

# Add a change of the space, add an edit that gained before, take an edit out, and forbid or force
# the inlining of one function.
MOVES = ("add", "again", "remove", "noinline", "alwaysinline")


@dataclass(frozen=True, kw_only=True)
class Point:
    """Point of the search space: a pipeline with function attributes."""

    candidate: Candidate
    attributes: tuple[tuple[str, str, bool], ...] = ()  # Recipe.attributes
    late_attributes: tuple[tuple[str, str, bool], ...] = ()  # Recipe.late_attributes
    # Recipe.function_options
    function_options: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Draws neighbours of a point."""

    changes: Sequence[Candidate]
    weights: NDArray[np.float64] | None  # (len(changes),) probabilities
    functions: Sequence[str]  # whose inlining may be decided
    gainful: Sequence[Edit]  # edits that gained so far; grows during the search
    rng: np.random.Generator

    def draw(self, kind: str, point: Point) -> Point | None:
        """Draw a neighbour by one kind of move; None when the move has no place."""
        match kind:
            case "add" if self.changes:
                return self._add(point)
            case "again" if self.gainful:
                return self._add_again(point)
            case "remove" if point.candidate.edits:
                return self._remove(point)
            case "noinline" | "alwaysinline" if self.functions:
                return self._decide_inlining(kind, point)
        return None

    def _add(self, point: Point) -> Point | None:
        change = self.changes[int(self.rng.choice(len(self.changes), p=self.weights))]
        if change.base != point.candidate.base:
            return None
        return replace(point, candidate=point.candidate.joined(change))

    def _add_again(self, point: Point) -> Point | None:
        candidate = point.candidate
        edit = self.gainful[int(self.rng.integers(len(self.gainful)))]
        if edit in candidate.edits:
            return None
        return replace(
            point, candidate=replace(candidate, edits=(*candidate.edits, edit))
        )

    def _remove(self, point: Point) -> Point:
        edits = list(point.candidate.edits)
        edits.pop(int(self.rng.integers(len(edits))))
        return replace(point, candidate=replace(point.candidate, edits=tuple(edits)))

    def _decide_inlining(self, attribute: str, point: Point) -> Point:
        """Set an inlining attribute on a function in place of another, or take it away."""
        function = self.functions[int(self.rng.integers(len(self.functions)))]
        others = tuple(row for row in point.attributes if row[0] != function)
        row = (function, attribute, True)
        candidate = point.candidate
        if attribute not in candidate.name:
            candidate = replace(candidate, name=f"{candidate.name}+{attribute}")
        attributes = others if row in point.attributes else (*others, row)
        return replace(point, attributes=attributes, candidate=candidate)
