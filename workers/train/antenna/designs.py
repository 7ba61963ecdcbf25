"""Designs to learn from: random rectangles, their mutations, and those that searches visit.

Each design has a founder, the design from which it was derived; a family is what one founder
has brought forth. Families keep near-duplicates on one side of the split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from search.domains.antenna.design import Design
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.search.layouts import Layouts, Vectors, layouts_of
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.methods import make_searcher
from search.domains.antenna.search.score import Scorer
from search.domains.antenna.search.solve import Evaluator
from solvers.field.board import Cell, Mask
from solvers.field.rational import Rational
from trimtab.specs.antenna import AntennaSpec, SearchMethod
from workers.train.antenna.boards import TrainingBoard

FEEDS = (
    12  # of a design, at most: the search's feed first, then random cells of the metal
)
_LEAST_METAL = 8
_MUTATIONS = 6  # of a founder, at most
_MUTATED = 0.15 / 0.85  # of the designs that no search visits
_TRAJECTORY = 250  # designs of one search
# Trajectories as numbers of shards modulo 20: 15 %.
_TRAJECTORY_SHARDS = (3, 10, 17)
_METHODS = (
    SearchMethod.ANNEALING,
    SearchMethod.GENETIC,
    SearchMethod.CROSS_ENTROPY,
    SearchMethod.CMA_ES,
    SearchMethod.TREE,
)
_MOST_RELATIVE_WIDTH = 0.2


class Source(IntEnum):
    """Origin of a design."""

    RECTANGLES = 0
    MUTATION = 1
    TRAJECTORY = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A design to label; its feed is the first of `feeds`."""

    mask: Mask
    feeds: tuple[Cell, ...]
    source: Source
    family: int  # number of its founder within the shard


Score = Callable[[Sample], Rational]
"""Labels a sample and returns the model of its first feed, in x = f / f_max."""


def draw(
    board: TrainingBoard, shard: int, count: int, rng: np.random.Generator, score: Score
) -> None:
    """Draw the designs of one shard and have `score` label each."""
    if shard % 20 in _TRAJECTORY_SHARDS:
        for first in range(0, count, _TRAJECTORY):
            _search(board, min(_TRAJECTORY, count - first), first, rng, score)
        return
    for sample in independent(board, count, rng):
        score(sample)


def random_spec(
    board: TrainingBoard,
    method: SearchMethod,
    feed: Cell | None,
    rng: np.random.Generator,
) -> AntennaSpec:
    """Return a search for one or two random bands."""
    low, high = board.f_min_hz, board.f_max_hz
    edges = np.sort(np.exp(rng.uniform(np.log(low * 1.05), np.log(high / 1.25), 2)))
    if rng.random() < 0.5 or edges[1] < 1.25 * edges[0]:
        edges = edges[:1]
    widths = np.exp(rng.uniform(np.log(0.02), np.log(_MOST_RELATIVE_WIDTH), len(edges)))
    return board.spec(
        feed,
        bands=[
            {"f_lo_hz": float(edge), "f_hi_hz": float(edge * (1 + width))}
            for edge, width in zip(edges, widths, strict=True)
        ],
        search=method.value,
        coarse_solves=_TRAJECTORY,
    )


def independent(
    board: TrainingBoard, count: int, rng: np.random.Generator
) -> Iterator[Sample]:
    """Draw designs that no search visits: random rectangles, and mutations of earlier ones."""
    made: list[tuple[Layouts, Design]] = []
    settings = []
    for feed in board.feeds:
        spec = board.spec(feed)
        rules = Rules(spec)
        settings.append((Vectors(spec, rules), layouts_of(spec, rules)))
    founders: list[int] = []
    for number in range(count):
        if made and rng.random() < _MUTATED:
            parent = int(rng.integers(len(made)))
            layouts, design = made[parent]
            for _ in range(int(rng.integers(1, _MUTATIONS + 1))):
                design = layouts.mutate(design, rng)
            family, source = founders[parent], Source.MUTATION
        else:
            vectors, layouts = settings[int(rng.integers(len(settings)))]
            design = vectors.decode(vectors.random(rng))
            while int(design.mask.sum()) < _LEAST_METAL:
                design = vectors.decode(vectors.random(rng))
            family, source = number, Source.RECTANGLES
        made.append((layouts, design))
        founders.append(family)
        yield _sample(design, source, family, rng)


def _search(
    board: TrainingBoard, count: int, family: int, rng: np.random.Generator, score: Score
) -> None:
    """Label the designs that one search visits."""
    method = _METHODS[int(rng.integers(len(_METHODS)))]
    feed = board.feeds[int(rng.integers(len(board.feeds)))]
    spec = random_spec(board, method, feed, rng)
    problem = AntennaProblem(spec=spec, workdir=Path())
    scorer, searcher = Scorer(problem), make_searcher(Evaluator(problem), rng)
    scale = board.f_max_hz / float(problem.frequencies_hz.max())
    guides: dict[bytes, float] = {}
    for _ in range(4 * count):
        designs = searcher.ask(8)
        for design in designs:
            if design.key not in guides and len(guides) < count:
                model = score(_sample(design, Source.TRAJECTORY, family, rng))
                scaled = Rational(
                    nodes=model.nodes * scale, values=model.values, weights=model.weights
                )
                guides[design.key] = scorer.score(scaled).guide_db
        if len(guides) >= count:
            return
        searcher.tell(designs, [guides[design.key] for design in designs])


def _sample(
    design: Design, source: Source, family: int, rng: np.random.Generator
) -> Sample:
    metal = [(int(i), int(j)) for i, j in np.argwhere(design.mask)]
    others = [cell for cell in metal if cell != design.feed]
    chosen = rng.permutation(len(others))[: FEEDS - 1]
    return Sample(
        mask=design.mask,
        feeds=(design.feed, *(others[k] for k in chosen)),
        source=source,
        family=family,
    )
