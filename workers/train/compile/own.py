"""Coreset of one code base: pipelines mined on some of its modules, to try first on the others.

    python -m workers.train compile own --modules build/*.bc --out own-coreset.json

As the shipped coreset was mined, but on the user's own modules and from the shipped one on:

1. the shipped pipelines are measured on every module;
2. (1+1) searches on single modules, each started from the shipped pipeline that is best there;
3. a race for the pipeline that is best on the mean of all modules, started from the best so far;
4. greedy facility location over every pipeline that was measured on all modules. The first one is
   the shipped one unless another is ahead by a standard error over the modules.

The number of compilations limits a run, so that equal modules and seeds give equal coresets; a time
limit or a cancellation ends it earlier with the best so far. Sizes are kept in `measured.jsonl`,
and a rerun replays them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.candidates import changes_of_oz
from search.domains.compile.search.coreset import greedy, load_coreset, usefulness
from search.domains.compile.search.edits import Candidate, Edit
from search.domains.compile.search.fitted import FORMAT
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import BadModule, EngineDied, Metric, Outcome, Recipe
from trimtab.specs.compile import Tier
from workers.train.compile.climb import Changes, Track, climb
from workers.train.compile.replay import MeasurementLog, OwnModule, ReplayEngine

Floats = NDArray[np.float64]
LEAST_MODULES = 2
MOST_MODULES = 48
"""Modules that are measured; of more, as many are taken evenly over the sizes."""
_SINGLE_SHARE = 0.1  # of the compilations left after stage 1 that stage 2 may use
_SINGLE_CLIMB = 40  # compilations of one module's search
_BLOCK = 4  # modules of a race after which a laggard is dropped: a code base is more of one kind
# Standard errors of a gain over modules. Without it, mining on 3 modules of bzip2 gained 1.1 points
# there and lost 1.3 on the other 3.
_MARGIN = 1.0
_STARTS = 24  # pipelines of stages 1 and 2 that the race may start from


@dataclass(frozen=True, kw_only=True)
class MiningLimits:
    """Limits of one mining run."""

    evaluations: int = 4000  # compilations, those replayed included
    count: int = 12  # pipelines of the coreset
    stopped: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        for name, value in (("evaluations", self.evaluations), ("count", self.count)):
            if value < 1:
                raise ValueError(f"{name}: expected a positive number, got {value}")


@dataclass(frozen=True, kw_only=True)
class MiningProgress:
    """Progress of a mining run."""

    stage: str  # shipped, modules, race
    evaluations: int  # compilations so far
    saved: float  # mean share saved by the best single pipeline so far


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnCoreset:
    """Mined pipelines in the order in which to try them."""

    metric: Metric
    llvm: str  # build id
    candidates: tuple[Candidate, ...]
    modules: tuple[str, ...]  # names of the modules it was mined on
    saved: Floats  # (modules, candidates) shares saved against -Oz; 0 where larger
    shipped: float  # mean share saved by the shipped coreset's first pipeline
    evaluations: int
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the document that `--out` gets."""
        best = np.maximum.accumulate(self.saved, axis=1).mean(axis=0)
        return {
            "format": FORMAT,
            "metric": self.metric.value,
            "llvm": self.llvm,
            "modules": list(self.modules),
            "saved": {
                "shipped_first": round(self.shipped, 6),
                "best_of_first": [round(float(share), 6) for share in best],
            },
            "evaluations": self.evaluations,
            "notes": list(self.notes),
            "candidates": [candidate.as_json() for candidate in self.candidates],
        }


class MiningOver(Exception):
    """A stage, the compilations or the time are used up."""


class Budget:
    """Compilations of a run, by stage."""

    def __init__(self, limits: MiningLimits) -> None:
        self.limits, self.used = limits, 0
        self._end = limits.evaluations

    @property
    def left(self) -> int:
        """Compilations left in the run."""
        return max(0, self.limits.evaluations - self.used)

    def spend(self) -> None:
        """Count a compilation. Raises MiningOver when none is left, or when stopped."""
        if self.used >= self._end or self.limits.stopped():
            raise MiningOver
        self.used += 1

    @contextlib.contextmanager
    def stage(self, evaluations: int) -> Iterator[None]:
        """Run a stage of at most so many compilations; its end is not an error."""
        outer, self._end = self._end, min(self._end, self.used + evaluations)
        try:
            with contextlib.suppress(MiningOver):
                yield
        finally:
            self._end = outer


class _Counted:
    """Engine whose compilations are counted."""

    def __init__(self, engine: ReplayEngine, budget: Budget) -> None:
        self._engine, self._budget = engine, budget

    def measure(self, recipes: Sequence[Recipe]) -> list[Any]:
        for _ in recipes:
            self._budget.spend()
        return self._engine.measure(recipes)


def mine_own(
    modules: Sequence[OwnModule],
    folder: Path,
    *,
    metric: Metric,
    seed: int,
    limits: MiningLimits,
    report: Callable[[MiningProgress], None] = lambda progress: None,
) -> OwnCoreset:
    """Mine a coreset on modules; equal arguments give equal coresets.

    folder: of the measurements, which a rerun replays.
    Raises ValueError with fewer than two modules that LLVM reads and compiles.
    """
    log, budget = MeasurementLog(folder), Budget(limits)
    chosen, notes = _chosen(modules)
    with ExitStack() as stack:
        engines = [stack.enter_context(ReplayEngine(module, log)) for module in chosen]
        engines, baseline = _with_oz(engines, metric, notes)
        if len(engines) < LEAST_MODULES:
            raise ValueError(
                f"modules: expected at least {LEAST_MODULES} that LLVM reads and compiles, got "
                f"{len(engines)}; {'; '.join(notes) or 'give more modules'}"
            )
        mining = _Mining(engines, baseline, metric, seed, budget, report)
        with budget.stage(budget.left):
            mining.measure_shipped()
        with budget.stage(int(_SINGLE_SHARE * budget.left)):
            mining.search_modules()
        with budget.stage(budget.left):
            mining.race()
        if limits.stopped():
            notes.append(f"the run was stopped after {budget.used} compilations")
        return mining.coreset(limits.count, log.build, notes)


def _chosen(modules: Sequence[OwnModule]) -> tuple[list[OwnModule], list[str]]:
    """Distinct modules in an order of their own; of too many, evenly over the sizes."""
    distinct = {module.sha256: module for module in modules}
    by_size = sorted(distinct.values(), key=lambda m: (len(m.bitcode), m.sha256))
    if len(by_size) <= MOST_MODULES:
        return by_size, []
    step = len(by_size) / MOST_MODULES
    chosen = [by_size[int((i + 0.5) * step)] for i in range(MOST_MODULES)]
    return chosen, [f"{MOST_MODULES} of {len(by_size)} modules, evenly over the sizes"]


def _with_oz(
    engines: Sequence[ReplayEngine], metric: Metric, notes: list[str]
) -> tuple[list[ReplayEngine], Floats]:
    """(engines of the modules that -Oz compiles, their sizes)."""
    usable, sizes = [], []
    for engine in engines:
        try:
            oz = Recipe(pipeline=engine.default_pipelines()["Oz"])
            (measured,) = engine.measure([oz])
        except (BadModule, EngineDied) as error:
            notes.append(f"{engine.module.name}: left out: {error}")
            continue
        if measured.outcome is not Outcome.OK or measured.sizes is None:
            notes.append(f"{engine.module.name}: left out: -Oz does not compile it")
            continue
        size = float(measured.sizes.of(metric))
        if size > 0:
            usable.append(engine)
            sizes.append(size)
    return usable, np.array(sizes)


class _Mining:
    """Pipelines measured on all modules so far, and the stages that add to them."""

    def __init__(
        self,
        engines: Sequence[ReplayEngine],
        baseline: Floats,
        metric: Metric,
        seed: int,
        budget: Budget,
        report: Callable[[MiningProgress], None],
    ) -> None:
        self._engines, self._baseline, self._metric = engines, baseline, metric
        self._budget, self._report = budget, report
        self._rng = np.random.default_rng(seed)
        self._defaults = engines[0].default_pipelines()
        self._space = changes_of_oz(self._defaults, metric)
        self._columns: dict[str, tuple[Candidate, Floats]] = {}
        self._shipped = [c for c in load_coreset(metric) if c.tier is Tier.DEFAULT]
        self._track = self._track_of(range(len(engines)))

    def measure_shipped(self) -> None:
        """Measure the shipped pipelines on every module."""
        for candidate in self._shipped:
            self._measure(candidate)
            self._tell("shipped")

    def search_modules(self) -> None:
        """Search on single modules, and measure each result on all."""
        best = [candidate for candidate, _ in self._columns.values()]
        for i in self._rng.permutation(len(self._engines)):
            track = self._track_of([int(i)])
            start = max(
                best,
                key=lambda c: self._columns[c.digest][1][i],
                default=Candidate(name="Oz"),
            )
            shares = self._columns[start.digest][1][[i]] if best else np.zeros(1)
            found, _ = climb(
                track,
                (start, shares),
                self._changes([start]),
                self._rng,
                over=lambda runs: runs >= _SINGLE_CLIMB,
                on_better=lambda candidate, saved, runs: None,
            )
            if found.digest != start.digest:
                self._measure(replace(found, name=f"own-{found.digest[:8]}"))
            self._tell("modules")

    def race(self) -> None:
        """Race changes of the pipeline that is best on the mean of all modules."""
        starts = self._by_mean()[:_STARTS]
        start = self._first()

        def better(candidate: Candidate, saved: Floats, runs: int) -> None:
            named = replace(candidate, name=f"own-{candidate.digest[:8]}")
            self._columns[candidate.digest] = (named, saved)
            self._tell("race")

        known = {edit for candidate in starts for edit in candidate.edits}
        climb(
            self._track,
            start,
            self._changes(starts, [c for c in self._space if not known >= set(c.edits)]),
            self._rng,
            over=lambda runs: False,
            on_better=better,
        )

    def coreset(self, count: int, build: str, notes: Sequence[str]) -> OwnCoreset:
        """Return the greedy coreset of the pipelines measured on all modules."""
        columns = list(self._columns.values())
        matrix = (
            np.stack([saved for _, saved in columns], axis=1)
            if columns
            else np.zeros((len(self._engines), 0))
        )
        order = _with_first(greedy(matrix, count), self._place_of_first(), count)
        first = self._columns.get(self._shipped[0].digest)
        return OwnCoreset(
            metric=self._metric,
            llvm=build,
            candidates=tuple(columns[j][0] for j in order),
            modules=tuple(engine.module.name for engine in self._engines),
            saved=matrix[:, order],
            shipped=float(first[1].mean()) if first is not None else 0.0,
            evaluations=self._budget.used,
            notes=tuple(notes),
        )

    def _first(self) -> tuple[Candidate, Floats]:
        """Best pipeline on the mean; the shipped first one unless another is clearly ahead."""
        nothing = (Candidate(name="Oz"), np.zeros(len(self._engines)))
        safe = self._columns.get(self._shipped[0].digest, nothing)
        ahead = [
            pair
            for pair in self._columns.values()
            if self._track.is_ahead(pair[1], safe[1])
        ]
        return max([safe, *ahead], key=lambda pair: float(pair[1].mean()))

    def _place_of_first(self) -> int | None:
        digest = self._first()[0].digest
        return list(self._columns).index(digest) if digest in self._columns else None

    def _measure(self, candidate: Candidate) -> None:
        """Measure a pipeline on all modules; one that fails on any is left out."""
        if candidate.digest in self._columns:
            return
        try:
            recipe = candidate.recipe(self._defaults)
        except BadPipeline:
            return
        saved = self._track.saved(recipe, np.arange(len(self._engines)))
        if saved is not None:
            self._columns[candidate.digest] = (candidate, saved)

    def _track_of(self, chosen: Sequence[int]) -> Track:
        return Track(
            engines=[_Counted(self._engines[i], self._budget) for i in chosen],
            baseline=self._baseline[list(chosen)],
            weights=np.full(len(chosen), 1.0 / len(chosen)),
            metric=self._metric,
            block=_BLOCK,
            margin=_MARGIN,
        )

    def _changes(
        self, starts: Sequence[Candidate], unmeasured: Sequence[Candidate] = ()
    ) -> Changes:
        """Changes, drawn in proportion to the training programs whose result had them."""
        chances: dict[Edit, float] = {}
        for candidate, count in zip(
            self._space, usefulness(self._space, self._metric), strict=True
        ):
            for edit in candidate.edits:
                chances[edit] = max(chances.get(edit, 0.0), float(count))
        # An edit of a start alone was useful at least once.
        for candidate in starts:
            for edit in candidate.edits:
                chances.setdefault(edit, 1.0)
        weights = np.sqrt(np.array(list(chances.values())))
        return Changes(
            edits=list(chances),
            unmeasured=unmeasured,
            defaults=dict(self._defaults),
            chances=weights / weights.sum(),
        )

    def _by_mean(self) -> list[Candidate]:
        columns = sorted(self._columns.values(), key=lambda pair: -pair[1].mean())
        return [candidate for candidate, _ in columns]

    def _tell(self, stage: str) -> None:
        means = [float(saved.mean()) for _, saved in self._columns.values()]
        self._report(
            MiningProgress(
                stage=stage, evaluations=self._budget.used, saved=max(means, default=0.0)
            )
        )


def _with_first(order: list[int], first: int | None, count: int) -> list[int]:
    """Put a column at the head of an order, and keep its length."""
    if first is None:
        return order
    return [first, *(j for j in order if j != first)][: max(1, min(count, len(order)))]


def write_coreset(coreset: OwnCoreset, path: Path) -> None:
    """Write a coreset as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coreset.as_json(), indent=1) + "\n")


def read_modules(paths: Sequence[Path]) -> list[OwnModule]:
    """Read bitcode or textual IR. Raises ValueError for a file that cannot be read."""
    modules = []
    for path in paths:
        try:
            modules.append(OwnModule(name=path.name, bitcode=path.read_bytes()))
        except OSError as error:
            raise ValueError(
                f"modules: {path}: expected a readable file, got {error.strerror}"
            ) from None
    return modules
