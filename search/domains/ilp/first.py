"""The first solution of the neighbourhood search: whichever way is through first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from search.domains.ilp.board import Places
from search.lns.constructive import constructive
from search.lns.feasibility_jump import feasibility_jump
from search.lns.fix_and_propagate import Propagator
from search.lns.guide import Guide
from search.lns.lp_dive import lp_dive
from search.lns.structure import structure
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.types import Floats, MilpModel, SolveParams, Stop

_DIVES = 4
_DIVE_S = 0.7
_JUMP_S = 1.0
_LP_DIVE_S = 3.0
_PARTITIONING = (
    0.5  # share of partitioning rows from which on only the LP knows where to begin
)
_ROUNDS = 3  # of dives and jumps, each with twice the processor time


class FirstSolution:
    """In turn: the owner's, a construction for the row class, fix-and-propagate, LP rounding with propagation, LP dive,
    feasibility jump, HiGHS with another seed; and at any time what the complete solver finds."""

    def __init__(
        self,
        model: MilpModel,
        slicer: Slicer,
        guide: Guide,
        *,
        theirs: Places,
        remaining_s: Callable[[], float],
        rng: np.random.Generator,
        constructed: Floats
        | None = None,  # (n,) feasible: a construction that was made before
    ) -> None:
        self._constructed = constructed
        self._model, self._slicer, self._guide, self._theirs = model, slicer, guide, theirs
        self._remaining_s, self._rng = remaining_s, rng
        kinds = structure(model)
        self._partitioning = kinds.partitioning > _PARTITIONING * model.m
        self._may_dive_late = self._partitioning
        self.found_by = ""

    def find(self, warm_start: Floats | None = None) -> Floats | None:
        """(n,) a feasible solution, or None when time is up."""
        if warm_start is not None and (x := self._from_warm_start(warm_start)) is not None:
            return x
        if self._constructed is not None:
            self.found_by = "construction"
            return self._constructed
        x = constructive(self._model, self._slicer.by_row, self._slicer.by_column)
        if x is not None and (x := self._whole(x, "construction")) is not None:
            return x
        ways = [self._propagated, self._rounded, self._lp_dived, self._jumped]
        if (
            self._partitioning
        ):  # nothing settles such rows but the LP, which gets the processor for itself
            ways = [self._rounded, self._lp_dived, self._propagated, self._jumped]
        for factor in range(_ROUNDS):
            for way in ways:
                if self._others_have_one() or self._remaining_s() <= 0:
                    return self._taken_over()
                x = way(2.0**factor)
                if x is not None:
                    return x
        return self._solved()

    def _from_warm_start(self, values: Floats) -> Floats | None:
        """As it is, with 0 (or the nearest bound) for what is missing; else fix-and-propagate towards it."""
        model = self._model
        known = np.isfinite(values)
        filled = np.clip(np.where(known, values, 0.0), model.col_lower, model.col_upper)
        if (x := self._whole(filled, "warm-start")) is not None:
            return x
        integers = np.flatnonzero(model.integrality)
        order = integers[np.lexsort((-np.abs(filled[integers]), ~known[integers]))]
        propagator = Propagator(model, self._slicer.by_row, self._slicer.by_column)
        x = propagator.dive(
            filled, order, time.process_time() + min(5.0, 0.2 * self._remaining_s())
        )
        return None if x is None else self._whole(x, "warm-start-repaired")

    def _whole(self, x: Floats, by: str) -> Floats | None:
        """x with integers whole and the continuous part solved, when that is feasible."""
        model = self._model
        x = np.where(model.integrality, np.rint(x), x)
        if not is_feasible(model, x):
            if bool(model.integrality.all()):
                return None
            completed = self._guide.relaxation.complete(
                x, time_limit_s=max(0.1, min(5.0, self._remaining_s()))
            ).x
            if completed is None:
                return None
            x = np.where(model.integrality, np.rint(completed), completed)
            if not is_feasible(model, x):
                return None
        self.found_by = by
        return x

    def _propagated(self, factor: float) -> Floats | None:
        model, rng = self._model, self._rng
        integers = np.flatnonzero(model.integrality)
        degree = np.diff(self._slicer.by_column.indptr)[integers]
        finite_low = np.where(np.isfinite(model.col_lower), model.col_lower, 0.0)
        finite_high = np.where(np.isfinite(model.col_upper), model.col_upper, finite_low)
        cheap = np.where(
            model.c > 0, finite_low, np.where(model.c < 0, finite_high, finite_low)
        )

        def plan(dive: int) -> tuple[Floats, np.ndarray]:
            noise = rng.random(len(integers))
            order = integers[
                np.argsort(-degree * (1.0 if dive == 0 else noise), kind="stable")
            ]
            prefer = (
                cheap
                if dive % 2 == 0
                else np.where(rng.random(model.n) < 0.5, finite_low, finite_high)
            )
            return prefer, order

        return self._dived(plan, factor, "fix-and-propagate")

    def _rounded(self, factor: float) -> Floats | None:
        """Fix-and-propagate towards the root LP's optimum, its whole variables first."""
        model, rng = self._model, self._rng
        limit_s = max(0.1, min(2.0 * factor, 0.2 * self._remaining_s()))
        root = self._guide.wait(limit_s, self._others_have_one)
        if root is None or root.x is None:
            return None
        at = root.x
        integers = np.flatnonzero(model.integrality)
        fraction = np.abs(at - np.rint(at))[integers]

        def plan(dive: int) -> tuple[Floats, np.ndarray]:
            # Large values first: in partitioning rows a 1 settles the row, a 0 settles nothing.
            order = integers[
                np.lexsort(
                    (
                        fraction + 0.2 * dive * rng.random(len(integers)),
                        -np.rint(at[integers]),
                    )
                )
            ]
            return (at if dive == 0 else np.floor(at + rng.random(model.n))), order

        return self._dived(plan, factor, "lp-rounding")

    def late(self) -> Floats | None:
        """(n,) what the LP dive finds, once the root LP is there; None before, afterwards, and where a start was at hand.

        On partitioning rows the engine's first solution is mostly far worse than the dive's.
        """
        if not self._may_dive_late or self._guide.waiting:
            return None
        self._may_dive_late = False
        return self._lp_dived(1.0, stop=lambda: self._remaining_s() <= 0)

    def _lp_dived(self, factor: float, stop: Stop | None = None) -> Floats | None:
        """The LP dive, twice: with what is nearly whole fixed along, and one variable a step."""
        stop = stop or self._others_have_one
        root = self._guide.wait(max(0.1, 0.2 * self._remaining_s()), stop)
        if root is None or root.x is None:
            return None
        self._may_dive_late = False
        until = time.process_time() + min(factor * _LP_DIVE_S, 0.3 * self._remaining_s())
        for nearly in (0.8, 2.0):
            x = lp_dive(
                self._model,
                self._guide.relaxation,
                root,
                until=until,
                stop=stop,
                nearly=nearly,
            )
            if x is not None and (x := self._whole(x, "lp-dive")) is not None:
                return x
        return None

    def _dived(
        self, plan: Callable[[int], tuple[Floats, np.ndarray]], factor: float, by: str
    ) -> Floats | None:
        """Dives by `plan(number)` → (preferred values, order), until one is feasible, time is up, or others have a solution."""
        propagator = Propagator(self._model, self._slicer.by_row, self._slicer.by_column)
        until = time.process_time() + factor * _DIVE_S
        for dive in range(_DIVES):
            x = propagator.dive(*plan(dive), until)
            if x is not None and (x := self._whole(x, by)) is not None:
                return x
            if self._others_have_one() or time.process_time() > until:
                break
        return None

    def _jumped(self, factor: float) -> Floats | None:
        model = self._model
        start = np.where(
            np.isfinite(model.col_lower), model.col_lower, np.minimum(0.0, model.col_upper)
        )
        if factor > 1:
            start = start + (self._rng.random(model.n) < 0.1)
        until = time.process_time() + min(factor * _JUMP_S, self._remaining_s())
        x = feasibility_jump(
            model, self._slicer.by_row, self._slicer.by_column, start, self._rng, until
        )
        return None if x is None else self._whole(x, "feasibility-jump")

    def _solved(self) -> Floats | None:
        found: list[Floats] = []
        HighsSolver().solve(
            self._model,
            # Another seed than the engine's: the same start twice would be one start.
            SolveParams(
                time_limit_s=max(0.05, self._remaining_s()),
                seed=int(self._rng.integers(2**31 - 1)),
                relative_gap=1.0,
            ),
            on_incumbent=lambda objective, x: found.append(x.copy()),
            stop=lambda: bool(found) or self._others_have_one() or self._remaining_s() <= 0,
        )
        for candidate in found:
            if (x := self._whole(candidate, "highs")) is not None:
                return x
        return self._taken_over()

    def _others_have_one(self) -> bool:
        return math.isfinite(self._theirs.objective)

    def _taken_over(self) -> Floats | None:
        while self._remaining_s() > 0:
            better = self._theirs.better_than(math.inf)
            if better is not None:
                self.found_by = "engine"
                return better[1]
            time.sleep(0.02)
        return None
