"""Local search of product mode, by whole compilations of the program.

In this order: -Oz, the coreset, library calls, code generation for each function, `minsize` and
frame pointers for each function, fixed additions, a (1+1) search, per-function pipelines. A step of
the (1+1) search changes the recipe of the best program by one move (`moves.py`); a discounted
bandit picks the kind of move by what it gained recently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from search.bandit import DiscountedBandit
from search.domains.compile.search.edits import Candidate, Edit
from search.domains.compile.search.incumbents import value_of
from search.domains.compile.search.library_calls import without_new_calls
from search.domains.compile.search.moves import MOVES, Moves, Point
from search.domains.compile.search.per_function import (
    FRAME_POINTER,
    best_tails,
    mixed,
    smaller_functions,
    toggle_minsize,
    with_frame_pointers,
)
from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Measured, Metric, Outcome, Recipe

Floats = NDArray[np.float64]
OnBetter = Callable[[str, Measured], bool]
"""(name, measured) → accepted. False: it behaves differently, or could not be checked; the search
continues without it."""

# Candidates of the coreset before the (1+1) search, which makes better use of the rest of a budget.
MAX_CORESET = 6
# A compilation that takes longer than this many times -Oz's blows the program up: it is stopped.
_COMPILE_LIMIT, _LEAST_COMPILE_LIMIT_S = 10.0, 2.0
# Tails to be worth the compilation of the mixed module.
_LEAST_TAILS = 2
_DRAWS = 8  # of a kind of move, to find one that applies and was not tried yet
_HALF_LIFE_S, _EXPLORE = 2.0, 0.5  # of the bandit


@dataclass(frozen=True, kw_only=True)
class ProductSpace:
    """Candidates and changes that a search in product mode may try."""

    metric: Metric
    defaults: Mapping[str, str]  # level → pipeline of the installed LLVM
    coreset: Sequence[Candidate]
    # (K,): the coreset is tried by falling scores; None: in its own order.
    scores: Floats | None = None
    changes: Sequence[Candidate] = ()  # single changes, for the (1+1) search
    # (len(changes),): changes are drawn in proportion; None: uniformly.
    usefulness: Floats | None = None
    # Name → pipeline for one function.
    tails: Mapping[str, str] = field(default_factory=dict)
    # Options of the code generator to try, from which each function gets its own.
    code_sets: Sequence[tuple[str, ...]] = ()
    library_calls: bool = False  # try to do without library functions that LLVM adds
    minsize: bool = True  # decide on `minsize` for each function
    frame_pointers: bool = False  # decide on a frame pointer for each function
    # Changes to add to the best program of the coreset, in order; each stays where it gains.
    additions: Sequence[Candidate] = ()
    # The (1+1) search may forbid or force inlining of single functions.
    inlining: bool = True


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """Limits of one local search."""

    evaluations: int  # compilations
    max_coreset: int | None = None  # candidates of the coreset that are tried; None: all
    # Compilations without a better program that end the (1+1) search.
    patience: int | None = None
    stopped: Callable[[], bool] = lambda: False
    # True when the time left suffices for the tails only.
    only_tails: Callable[[], bool] = lambda: False
    spend: Callable[[int], object] = lambda count: None  # called with each compilation


@dataclass(frozen=True, kw_only=True)
class LocalSearchResult:
    """Best program of a local search, and all compilations."""

    best: Measured
    table: tuple[tuple[str, Measured], ...]
    candidate: Candidate  # of the best program, apart from function attributes and tails


def optimise(
    engine: Engine,
    space: ProductSpace,
    limits: SearchLimits,
    *,
    baseline: Measured,
    rng: np.random.Generator,
    on_better: OnBetter,
) -> LocalSearchResult:
    """Return the smallest accepted program within the limits.

    `baseline` is -Oz, measured and accepted. Every program that would be the best is offered to
    `on_better` before it counts.
    """
    search = _LocalSearch(engine, space, limits, baseline, on_better)
    search.try_coreset()
    bytes_count = space.metric is not Metric.IR_INSTRUCTIONS
    if space.library_calls and bytes_count:
        search.forbid_new_calls()
    if space.code_sets and bytes_count:
        search.decide_code()
    if space.minsize and bytes_count and not space.code_sets:
        search.decide_minsize()
    if space.frame_pointers and bytes_count:
        search.decide_frame_pointers()
    search.try_additions()
    # Tails come last: a change of the pipeline before them loses what they gained.
    search.one_plus_one(rng, tails=len(space.tails) if bytes_count else 0)
    if space.tails and bytes_count and not search.over():
        search.add_tails()
    return LocalSearchResult(
        best=search.best, table=tuple(search.table), candidate=search.point.candidate
    )


class _LocalSearch:
    """Best program so far, and what was tried."""

    def __init__(
        self,
        engine: Engine,
        space: ProductSpace,
        limits: SearchLimits,
        baseline: Measured,
        on_better: OnBetter,
    ) -> None:
        self._engine, self._space, self._limits = engine, space, limits
        self._on_better = on_better
        self.best = baseline
        self.point = Point(candidate=Candidate(name="Oz"))
        self.table: list[tuple[str, Measured]] = []
        self._evaluations_left = limits.evaluations
        self._since_better = 0  # compilations
        self._tried = {baseline.recipe.digest}
        self._programs = {baseline.program}  # equal optimised modules count once
        self._gainful: list[Edit] = []  # edits of candidates that became the best
        self._compile_limit_s = max(
            _LEAST_COMPILE_LIMIT_S, _COMPILE_LIMIT * baseline.seconds
        )

    def over(self) -> bool:
        """Tell whether the budget or the time is used up."""
        return self._evaluations_left <= 0 or self._limits.stopped()

    def try_coreset(self) -> None:
        """Evaluate the coreset's candidates by falling scores."""
        space = self._space
        order = (
            list(range(len(space.coreset)))
            if space.scores is None
            else np.argsort(-space.scores, kind="stable").tolist()
        )
        for index in order[: self._limits.max_coreset]:
            if self.over():
                break
            self._evaluate(Point(candidate=space.coreset[index]))

    def decide_code(self) -> None:
        """Generate code by other options and with `minsize` toggled, then mix by function.

        Each function is then generated as where it was smallest, for two compilations more than the
        sets.
        """
        point, start, tried = self.point, self.best, len(self.table)
        for options in self._space.code_sets[: max(0, self._evaluations_left - 2)]:
            if self.over():
                break
            self._evaluate(
                replace(point, candidate=point.candidate.generated_by(options))
            )
        toggled = toggle_minsize(self.best) if self._space.minsize else None
        if toggled is not None and not self.over():
            self._evaluate_late("minsize", self.point, toggled)
        others = [start, *(measured for _, measured in self.table[tried:])]
        recipe = mixed(self.best, others, self._space.metric)
        if recipe is not None and not self.over():
            point = replace(self.point, function_options=recipe.function_options)
            self._evaluate_late("functions", point, recipe)

    def try_additions(self) -> None:
        """Add each change to the best program, with its decisions on single functions."""
        for change in self._space.additions:
            if self.point.candidate.base == change.base and not self.over():
                candidate = self.point.candidate.joined(change)
                self._evaluate(replace(self.point, candidate=candidate))

    def forbid_new_calls(self) -> None:
        """Try the best program without the library functions that LLVM calls of itself."""
        rows = () if self.over() else without_new_calls(self._engine, self.best)
        if rows:
            candidate = self.point.candidate
            candidate = replace(candidate, name=f"{candidate.name}+library-calls")
            self._evaluate(replace(self.point, candidate=candidate, attributes=rows))

    def decide_minsize(self) -> None:
        """Toggle `minsize` on all functions, then on those alone that get smaller by it."""
        self._decide("minsize", toggle_minsize(self.best))

    def decide_frame_pointers(self) -> None:
        """Give all functions a frame pointer, then those alone that get smaller by it."""
        self._decide(FRAME_POINTER, with_frame_pointers(self.best))

    def _decide(self, word: str, toggled: Recipe | None) -> None:
        """Evaluate an attribute on all functions, then on those that get smaller by it."""
        base, point = self.best, self.point
        if toggled is None or self.over():
            return
        tried = len(self.table)
        self._evaluate_late(word, point, toggled)
        for _, measured in self.table[tried:]:
            chosen = smaller_functions(base, measured, self._space.metric, word)
            if chosen is not None and not self.over():
                self._evaluate_late(word, point, chosen)

    def _evaluate_late(self, word: str, point: Point, recipe: Recipe) -> None:
        word = word.partition("=")[0]
        candidate = replace(point.candidate, name=f"{point.candidate.name}+{word}")
        point = replace(
            point, candidate=candidate, late_attributes=recipe.late_attributes
        )
        self._evaluate(point, recipe)

    def one_plus_one(self, rng: np.random.Generator, *, tails: int) -> None:
        """Change the best recipe by one move at a time, until the limits or all moves are used up.

        `tails` more compilations, and one of the mixed module, are left over in the budget.
        """
        space, limits = self._space, self._limits
        self._since_better = 0
        reserved = min(tails + 1 if tails else 0, self._evaluations_left // 2)
        if reserved < _LEAST_TAILS + 1:
            reserved = 0
        functions = sorted(set(self._engine.info.functions) - {"main"})
        moves = Moves(
            changes=space.changes,
            weights=_weights(space),
            functions=functions if space.inlining else [],
            gainful=self._gainful,
            rng=rng,
        )
        bandit = DiscountedBandit(MOVES, half_life_s=_HALF_LIFE_S, explore=_EXPLORE)

        def enough() -> bool:
            impatient = (
                limits.patience is not None and self._since_better >= limits.patience
            )
            left = self._evaluations_left
            return (
                left <= reserved or limits.stopped() or limits.only_tails() or impatient
            )

        while not enough():
            kind = bandit.pick(rng)
            point = self._untried(moves, kind)
            if point is None:
                bandit.drop(kind)
                if len(bandit.arms) == 1 and self._untried(moves, bandit.arms[0]) is None:
                    return
                continue
            tried = len(self.table)
            gain = self._evaluate(point)
            seconds = sum(measured.seconds for _, measured in self.table[tried:])
            bandit.update(kind, gain=gain, seconds=seconds)

    def add_tails(self) -> None:
        """Give each function the tail that makes it smallest."""
        room = max(0, self._evaluations_left - 1)
        recipe = best_tails(
            self._engine,
            self.best,
            dict(list(self._space.tails.items())[:room]),
            self._space.metric,
            stopped=self.over,
            compile_limit_s=self._compile_limit_s,
            on_measured=self._record,
        )
        if recipe is not None:
            candidate = self.point.candidate
            candidate = replace(candidate, name=f"{candidate.name}+per-function")
            self._evaluate(replace(self.point, candidate=candidate), recipe)

    def _untried(self, moves: Moves, kind: str) -> Point | None:
        """Draw a neighbour that was not tried yet; None when a few draws give none."""
        for _ in range(_DRAWS):
            point = moves.draw(kind, self.point)
            recipe = None if point is None else self._recipe(point)
            if (
                point is not None
                and recipe is not None
                and recipe.digest not in self._tried
            ):
                return point
        return None

    def _recipe(self, point: Point) -> Recipe | None:
        """Recipe of a point; None when an edit has no place in this LLVM's -Oz."""
        try:
            recipe = point.candidate.recipe(self._space.defaults)
        except BadPipeline:
            return None
        return replace(
            recipe,
            attributes=point.attributes,
            late_attributes=point.late_attributes,
            function_options=point.function_options,
        )

    def _evaluate(self, point: Point, recipe: Recipe | None = None) -> float:
        """Compile a point and return its relative gain; 0 when it is not the new best.

        A recipe that was tried costs nothing.
        """
        recipe = recipe or self._recipe(point)
        if recipe is None or recipe.digest in self._tried or self.over():
            return 0.0
        self._tried.add(recipe.digest)
        name, metric = point.candidate.name, self._space.metric
        for measured in self._engine.measure(
            [recipe], stopped=self._limits.stopped, seconds=self._compile_limit_s
        ):
            self._record(name, measured)
            if measured.outcome is not Outcome.OK or measured.program in self._programs:
                continue
            self._programs.add(measured.program)
            before, value = value_of(self.best, metric), value_of(measured, metric)
            if value < before and self._on_better(name, measured):
                old_edits = self.point.candidate.edits
                self._gainful.extend(
                    edit for edit in point.candidate.edits if edit not in old_edits
                )
                self.best, self.point, self._since_better = measured, point, 0
                return (before - value) / max(1.0, before)
        return 0.0

    def _record(self, name: str, measured: Measured) -> None:
        self._evaluations_left -= 1
        self._since_better += 1
        self._limits.spend(1)
        self.table.append((name, measured))


def _weights(space: ProductSpace) -> Floats | None:
    """Probabilities of the changes; None when all are equal."""
    if space.usefulness is None or not len(space.changes):
        return None
    weights: Floats = space.usefulness / space.usefulness.sum()
    return weights
