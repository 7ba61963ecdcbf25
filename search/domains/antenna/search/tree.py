"""Monte-Carlo tree search over the sequential placement of rectangles.

Upper confidence bounds on trees (Kocsis and Szepesvári, ECML 2006) with progressive widening
(Coulom 2007): a node of n visits has at most `width`·√n children. Each level of the tree places one
rectangle; levels below the tree are drawn at random (a roll-out). A node's value is the mean of the
scores below it, a design's score is known only when the last rectangle lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.layouts import Vectors

Real = NDArray[np.float64]


@dataclass(kw_only=True, eq=False)
class _Node:
    numbers: Real  # of the rectangle that this node places; empty at the root
    children: list[_Node] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    best: float = -math.inf

    @property
    def value(self) -> float:
        """Mean and best score in equal parts: the aim is one good design, not a good mean."""
        return 0.5 * self.total / max(1, self.visits) + 0.5 * self.best


class TreeSearch:
    """Places one rectangle after another; feed and vias come with the first."""

    width, exploration = 1.5, 1.0  # exploration in units of the scores' spread

    def __init__(self, vectors: Vectors, rng: np.random.Generator) -> None:
        self._vectors, self._rng = vectors, rng
        self._root = _Node(numbers=np.zeros(0))
        self._paths: list[list[_Node]] = []
        self._scores: list[float] = []

    def ask(self, count: int) -> list[Design]:
        """Descend once, and return the design of the roll-out."""
        path = [self._root]
        while len(path) <= self._vectors.rectangles:
            node = path[-1]
            if len(node.children) < max(1.0, self.width * math.sqrt(node.visits)):
                node.children.append(_Node(numbers=self._placement(len(path) - 1)))
                path.append(node.children[-1])
                break
            path.append(max(node.children, key=lambda child: self._bound(node, child)))
        self._paths = [path]
        return [self._vectors.decode(self._rolled_out(path))]

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Add each score to the nodes of its path."""
        for path, score in zip(self._paths, scores, strict=True):
            self._scores.append(score)
            for node in path:
                node.visits += 1
                node.total += score
                node.best = max(node.best, score)

    def _bound(self, parent: _Node, child: _Node) -> float:
        spread = float(np.std(self._scores[-200:])) if len(self._scores) > 1 else 1.0
        bonus = math.sqrt(math.log(parent.visits + 1) / max(1, child.visits))
        return child.value + self.exploration * spread * bonus

    def _placement(self, level: int) -> Real:
        """Return the numbers of one rectangle; the first one's also place the posts."""
        x = self._vectors.random(self._rng)
        rectangle = x[5 * level : 5 * level + 5]
        return np.concatenate([rectangle, x[5 * self._vectors.rectangles :]])

    def _rolled_out(self, path: list[_Node]) -> Real:
        x = self._vectors.random(self._rng)
        posts = 5 * self._vectors.rectangles
        for level, node in enumerate(path[1:]):
            x[5 * level : 5 * level + 5] = node.numbers[:5]
            if level == 0:
                x[posts:] = node.numbers[5:]
        return x
