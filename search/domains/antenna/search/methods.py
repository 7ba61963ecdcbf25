"""Search methods behind one protocol: `ask` for designs, `tell` their scores."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from search.domains.antenna.design import Design
from search.domains.antenna.search.gradient import GradientSearch
from search.domains.antenna.search.layouts import Layouts, Real, Vectors, layouts_of
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.neighbourhood import Neighbourhood
from search.domains.antenna.search.placement import Placement
from search.domains.antenna.search.screened import Screened
from search.domains.antenna.search.searcher import Searcher
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.search.tabu import TabuSearch
from search.domains.antenna.search.tree import TreeSearch
from trimtab.specs.antenna import AntennaSpec, SearchMethod, Topology

_BEGIN = 20  # random designs before annealing and genetic search change any
_KEPT = 20  # best designs that restarts begin from


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Parts that a method is made from."""

    spec: AntennaSpec
    rules: Rules
    layouts: Layouts
    vectors: Vectors
    rng: np.random.Generator
    evaluations: int  # planned in all; annealing cools over them
    evaluator: Evaluator
    learned: Learned | None = None


class RandomSearch:
    """Independent random rectangles."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def ask(self, count: int) -> list[Design]:
        """Return random designs."""
        setting = self._setting
        return [setting.layouts.random(setting.rng) for _ in range(count)]

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Ignore the scores."""


class Annealing:
    """Simulated annealing (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983) from random starts.

    The temperature falls from `hottest` to `coldest` dB over the planned evaluations. After
    `patience` proposals without a better design it restarts from one of the best.
    """

    hottest, coldest, patience, begin = 1.5, 0.03, 80, _BEGIN

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._best: list[tuple[float, Design]] = []
        self._current: tuple[float, Design] | None = None
        self._told = 0
        self._idle = 0

    def ask(self, count: int) -> list[Design]:
        """Return random designs first, then one neighbour of the current design."""
        setting = self._setting
        if self._told < self.begin:
            count = min(count, self.begin - self._told)
            return [setting.layouts.random(setting.rng) for _ in range(count)]
        assert self._current is not None
        return [setting.layouts.mutate(self._current[1], setting.rng)]

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Accept or reject."""
        rng = self._setting.rng
        for design, score in zip(designs, scores, strict=True):
            self._told += 1
            better = not self._best or score > self._best[0][0]
            self._idle = 0 if better else self._idle + 1
            self._best = _kept(self._best, score, design)
            if self._current is None or self._told <= self.begin:
                self._current = self._best[0]
                continue
            rise = score - self._current[0]
            if rise >= 0 or rng.random() < math.exp(rise / self._temperature()):
                self._current = (score, design)
            if self._idle >= self.patience:
                self._idle = 0
                self._current = self._best[int(rng.integers(min(5, len(self._best))))]

    def _temperature(self) -> float:
        share = min(1.0, self._told / max(1, self._setting.evaluations))
        return self.hottest * (self.coldest / self.hottest) ** share


class Genetic:
    """Steady-state genetic algorithm: tournaments, block crossover, mutation, elitism."""

    population, tournament, mutated = 30, 3, 0.7

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._pool: list[tuple[float, Design]] = []

    def ask(self, count: int) -> list[Design]:
        """Return random designs first, then children of tournament winners."""
        setting, rng = self._setting, self._setting.rng
        if len(self._pool) < _BEGIN:
            count = min(count, _BEGIN - len(self._pool))
            return [setting.layouts.random(rng) for _ in range(count)]
        children = []
        for _ in range(count):
            child = self._winner()
            if crossed := rng.random() < 0.5:
                child = setting.layouts.cross(child, self._winner(), rng)
            if not crossed or rng.random() < self.mutated:
                child = setting.layouts.mutate(child, rng)
            children.append(child)
        return children

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Keep the best distinct designs."""
        for design, score in zip(designs, scores, strict=True):
            self._pool = _kept(self._pool, score, design, most=self.population)

    def _winner(self) -> Design:
        count = min(self.tournament, len(self._pool))
        return self._pool[
            int(self._setting.rng.integers(len(self._pool), size=count).min())
        ][1]


class CrossEntropy:
    """Cross-entropy method (Rubinstein and Kroese 2004, chapter 4).

    Over the probability of metal in each cell, or for rectangles over normal distributions of
    their coordinates.
    """

    batch, elite, rate, least = 40, 8, 0.4, 0.02

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._pixels = setting.spec.topology is Topology.PIXELS
        self._mean: Real | None = None
        self._deviation = np.full(setting.vectors.size, 0.3)
        self._asked: list[Real] = []
        self._batch: list[tuple[float, Real]] = []
        self._feeds: list[tuple[float, Design]] = []

    def ask(self, count: int) -> list[Design]:
        """Return samples."""
        designs = []
        self._asked = []
        for _ in range(count):
            design, x = self._sample()
            designs.append(design)
            self._asked.append(x)
        return designs

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Move the distribution towards the best of each batch."""
        for design, score, x in zip(designs, scores, self._asked, strict=True):
            self._batch.append((score, x))
            self._feeds = _kept(self._feeds, score, design)
        if len(self._batch) >= self.batch:
            self._batch.sort(key=lambda row: -row[0])
            elite = np.array([x for _, x in self._batch[: self.elite]])
            mean, deviation = elite.mean(axis=0), elite.std(axis=0)
            if self._mean is not None:
                mean = self.rate * mean + (1 - self.rate) * self._mean
                deviation = self.rate * deviation + (1 - self.rate) * self._deviation
            self._mean, self._deviation = mean, np.maximum(deviation, self.least)
            self._batch = []

    def _sample(self) -> tuple[Design, Real]:
        setting, rng = self._setting, self._setting.rng
        if self._mean is None:
            x = setting.vectors.random(rng)
            design = setting.vectors.decode(x)
            return design, design.mask.ravel().astype(float) if self._pixels else x
        if not self._pixels:
            x = np.clip(rng.normal(self._mean, self._deviation), 0, 1)
            return setting.vectors.decode(x), x
        n = setting.rules.cells
        chance = np.clip(self._mean, self.least, 1 - self.least).reshape(n, n)
        # Posts are taken from one of the best designs: their places are not part of the mean.
        model = self._feeds[int(rng.integers(min(5, len(self._feeds))))][1]
        drawn = Design(mask=rng.random((n, n)) < chance, feed=model.feed, vias=model.vias)
        design = setting.rules.legal(drawn)
        return design, design.mask.ravel().astype(float)


class CmaEs:
    """CMA-ES (Hansen and Ostermeier 2001; package `cma`) on the coordinates of rectangles.

    Begins at the best of a few random vectors; restarts with a new one when it has converged.
    """

    step, starts = 0.25, 12

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._strategy: Any = None
        self._asked: list[Real] = []
        self._generation: list[tuple[Real, float]] = []
        self._waiting: list[Real] = []
        self._tried: list[tuple[float, Real]] = []

    def ask(self, count: int) -> list[Design]:
        """Return random designs first, then parts of a generation."""
        if self._strategy is None:
            count = min(count, self.starts - len(self._tried))
            self._asked = [
                self._setting.vectors.random(self._setting.rng) for _ in range(count)
            ]
        else:
            if not self._waiting:
                self._waiting = [np.asarray(x) for x in self._strategy.ask()]
            self._asked, self._waiting = self._waiting[:count], self._waiting[count:]
        return [self._setting.vectors.decode(x) for x in self._asked]

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Update the distribution once a generation is complete."""
        if self._strategy is None:
            self._tried += [
                (score, x) for score, x in zip(scores, self._asked, strict=True)
            ]
            if len(self._tried) >= self.starts:
                self._begin(max(self._tried, key=lambda row: row[0])[1])
            return
        self._generation += [
            (x, -score) for x, score in zip(self._asked, scores, strict=True)
        ]
        if not self._waiting:
            points, values = zip(*self._generation, strict=True)
            self._generation = []
            self._strategy.tell(list(points), list(values))
            if self._strategy.stop():
                self._strategy, self._tried = None, []

    def _begin(self, x: Real) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cma warns about optional packages on import
            import cma

            options = {
                "bounds": [0, 1],
                "seed": int(self._setting.rng.integers(1, 2**31)),
                "verbose": -9,
            }
            self._strategy = cma.CMAEvolutionStrategy(list(x), self.step, options)


def _tabu(setting: Setting) -> Searcher:
    return TabuSearch(
        Neighbourhood(setting.evaluator),
        setting.layouts,
        setting.rng,
        efficiency=setting.spec.min_efficiency > 0,
        screen=setting.learned,
    )


def _gradient(setting: Setting) -> Searcher:
    if setting.learned is None:
        return _tabu(setting)
    return GradientSearch(setting.learned, setting.rules, setting.layouts, setting.rng)


METHODS: Mapping[SearchMethod, Callable[[Setting], Searcher]] = MappingProxyType(
    {
        SearchMethod.TABU: _tabu,
        SearchMethod.ANNEALING: Annealing,
        SearchMethod.GENETIC: Genetic,
        SearchMethod.CROSS_ENTROPY: CrossEntropy,
        SearchMethod.CMA_ES: CmaEs,
        SearchMethod.TREE: lambda setting: TreeSearch(setting.vectors, setting.rng),
        SearchMethod.PLACEMENT: lambda setting: Placement(setting.vectors, setting.rng),
        SearchMethod.GRADIENT: _gradient,
        SearchMethod.RANDOM: RandomSearch,
    }
)


# Methods that use the surrogate themselves; others run on its predictions.
_OWN_USE = frozenset({SearchMethod.TABU, SearchMethod.GRADIENT})


def make_searcher(
    evaluator: Evaluator, rng: np.random.Generator, learned: Learned | None = None
) -> Searcher:
    """Return the method of the job, on the surrogate where there is one."""
    spec = evaluator.problem.spec
    rules = Rules(spec)
    setting = Setting(
        spec=spec,
        rules=rules,
        layouts=layouts_of(spec, rules),
        vectors=Vectors(spec, rules),
        rng=rng,
        evaluations=spec.coarse_solves,
        evaluator=evaluator,
        learned=learned,
    )
    method = METHODS[spec.search](setting)
    if learned is None or spec.search in _OWN_USE:
        return method
    return Screened(method, learned, rng)


def _kept(
    pool: list[tuple[float, Design]], score: float, design: Design, *, most: int = _KEPT
) -> list[tuple[float, Design]]:
    """Return the pool with the design, best first, without duplicates, at most `most`."""
    if any(other.key == design.key for _, other in pool):
        return pool
    return sorted([*pool, (score, design)], key=lambda row: -row[0])[:most]
