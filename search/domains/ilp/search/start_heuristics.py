"""Start heuristics of the neighbourhood search, tried in order until one is feasible.

The start decides the primal integral (deploy/docs/design/ilp.md, "Start solutions").
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from search.domains.ilp.search.slots import IncumbentSlots
from search.lns.constructive import constructive
from search.lns.feasibility_jump import feasibility_jump
from search.lns.fix_and_propagate import Propagator
from search.lns.guide import Guide
from search.lns.lp_dive import lp_dive
from search.lns.lp_sub_mip import lp_sub_mip
from search.lns.structure import structure
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.types import Floats, SolveParams, Stop

_DIVES = 4  # of one call of fix-and-propagate
_DIVE_CPU_S = 0.7
_JUMP_CPU_S = 1.0
_LP_DIVE_CPU_S = 3.0
_SUB_MIP_CPU_S = 1.0
# Of the integer variables that the program of the fractional rest frees, in the first round, where
# it takes a tenth of a second or is left out, and later.
_SMALL_SHARE, _MOST_SHARE = 0.25, 0.8
_WARM_START_S, _WARM_START_SHARE = 5.0, 0.2
_COMPLETION_S = 5.0
# Share of partitioning rows from which on the LP is tried first: nothing else settles such rows.
_PARTITIONING = 0.5
_ROUNDS = 3  # over all heuristics, each with twice the time of the round before
_POLL_S = 0.02
_WHOLE = 1e-6  # above a whole number that is the number still

DivePlan = Callable[[int], tuple[Floats, np.ndarray]]
"""Plan of a dive by its number: (n,) preferred values, and the order of the integer variables."""


class StartHeuristics:
    """First solution of one search.

    In turn: the warm start, a construction for the row class, fix-and-propagate, rounding up the
    LP of a mixed model, LP rounding with propagation, the program of what the LP leaves fractional,
    an LP dive, feasibility jump, and HiGHS with another seed. A solution from another process ends
    the search at any time.
    """

    def __init__(
        self,
        guide: Guide,
        slicer: Slicer,
        *,
        others: IncumbentSlots,
        rng: np.random.Generator,
        constructed: Floats | None = None,  # (n,) feasible, made before
    ) -> None:
        self._guide, self._slicer, self._others = guide, slicer, others
        self._model, self._deadline = guide.model, guide.deadline
        self._rng, self._constructed = rng, constructed
        rows = structure(self._model)
        self._partitioning = rows.partitioning > _PARTITIONING * self._model.m
        self._may_dive_late = self._may_solve_late = self._partitioning
        # Set-ups, sites, arcs: what the LP opens a little is opened, and the rest is an LP.
        self._may_round_up = not bool(self._model.integrality.all())
        self.source = ""  # name of the heuristic that had the solution

    def find(self, warm_start: Floats | None = None) -> Floats | None:
        """Return (n,) a feasible solution, or None when time is up."""
        if warm_start is not None:
            self._may_round_up = self._may_solve_late = False
            x = self._from_warm_start(warm_start)
            if x is not None:
                return x
        if self._constructed is not None:
            self.source = "construction"
            return self._constructed
        x = constructive(self._model, self._slicer.by_row, self._slicer.by_column)
        if x is not None:
            x = self._completed(x, "construction")
            if x is not None:
                return x
        lp = [self._round_lp, self._solve_fractional, self._dive_lp]
        heuristics = [self._propagate, *lp, self._jump]
        if self._partitioning:
            heuristics = [*lp, self._propagate, self._jump]
        if self._may_round_up:
            heuristics.insert(1, self._round_up)
        for factor in range(_ROUNDS):
            for heuristic in heuristics:
                if self._others_succeeded() or self._deadline.left_s() <= 0:
                    return self._take_over()
                x = heuristic(2.0**factor)
                if x is not None:
                    return x
        return self._solve()

    def late_solution(self) -> Floats | None:
        """Return (n,) the solution of a heuristic that needs the root LP, once; None otherwise.

        On partitioning rows the engine's first solution is mostly far worse than the LP dive's, and
        on mixed models a first solution may pay penalties that the rounded-up LP does not.
        Returns None after a warm start, or if the heuristics already ran.
        """
        if self._guide.waiting:
            return None
        if self._may_round_up:
            x = self._round_up(1.0)
            if x is not None:
                return x
        if self._may_solve_late:
            x = self._solve_fractional(1.0, stop=self._deadline.over)
            self._may_solve_late = False
            if x is not None:
                return x
        if not self._may_dive_late:
            return None
        self._may_dive_late = False
        return self._dive_lp(1.0, stop=self._deadline.over)

    def _from_warm_start(self, values: Floats) -> Floats | None:
        """Use the values, missing ones 0 or the nearest bound; else propagate towards them."""
        model = self._model
        present = np.isfinite(values)
        filled = np.clip(np.where(present, values, 0.0), model.col_lower, model.col_upper)
        x = self._completed(filled, "warm-start")
        if x is not None:
            return x
        integers = np.flatnonzero(model.integrality)
        order = integers[np.lexsort((-np.abs(filled[integers]), ~present[integers]))]
        limit_s = min(_WARM_START_S, _WARM_START_SHARE * self._deadline.left_s())
        x = self._propagator().dive(filled, order, time.process_time() + limit_s)
        return None if x is None else self._completed(x, "warm-start-repaired")

    def _completed(self, x: Floats, heuristic: str) -> Floats | None:
        """Return x with whole integers and the continuous part solved for, if that is feasible."""
        model = self._model
        x = np.where(model.integrality, np.rint(x), x)
        if not is_feasible(model, x):
            if bool(model.integrality.all()):
                return None
            limit_s = max(0.1, min(_COMPLETION_S, self._deadline.left_s()))
            solved = self._guide.relaxation.complete(x, time_limit_s=limit_s).x
            if solved is None:
                return None
            x = np.where(model.integrality, np.rint(solved), solved)
            if not is_feasible(model, x):
                return None
        self.source = heuristic
        return x

    def _propagate(self, factor: float) -> Floats | None:
        """Fix-and-propagate towards cheap values, then in random orders."""
        model, rng = self._model, self._rng
        integers = np.flatnonzero(model.integrality)
        degree = np.diff(self._slicer.by_column.indptr)[integers]
        low = np.where(np.isfinite(model.col_lower), model.col_lower, 0.0)
        high = np.where(np.isfinite(model.col_upper), model.col_upper, low)
        cheap = np.where(model.c < 0, high, low)

        def plan(dive: int) -> tuple[Floats, np.ndarray]:
            noise = rng.random(len(integers))
            weight = -degree * (1.0 if dive == 0 else noise)
            order = integers[np.argsort(weight, kind="stable")]
            if dive % 2 == 0:
                return cheap, order
            return np.where(rng.random(model.n) < 0.5, low, high), order

        return self._dives(plan, factor, "fix-and-propagate")

    def _round_lp(self, factor: float) -> Floats | None:
        """Fix-and-propagate towards the root LP's optimum, its whole variables first."""
        model, rng = self._model, self._rng
        limit_s = max(0.1, min(2.0 * factor, 0.2 * self._deadline.left_s()))
        root = self._guide.wait(limit_s, self._others_succeeded)
        if root is None or root.x is None:
            return None
        lp_x = root.x
        integers = np.flatnonzero(model.integrality)
        rounded = np.rint(lp_x[integers])
        fraction = np.abs(lp_x[integers] - rounded)

        def plan(dive: int) -> tuple[Floats, np.ndarray]:
            # Large values first: in partitioning rows a 1 settles the row, a 0 settles nothing.
            noise = 0.2 * dive * rng.random(len(integers))
            order = integers[np.lexsort((fraction + noise, -rounded))]
            return (lp_x if dive == 0 else np.floor(lp_x + rng.random(model.n))), order

        return self._dives(plan, factor, "lp-rounding")

    def _round_up(self, factor: float) -> Floats | None:
        """Round the integer variables of the root LP up, and solve for the continuous ones."""
        if not self._may_round_up:
            return None
        model = self._model
        limit_s = max(0.1, min(2.0 * factor, 0.2 * self._deadline.left_s()))
        root = self._guide.wait(limit_s, self._others_succeeded)
        if root is None or root.x is None:
            return None
        self._may_round_up = False
        up = np.ceil(root.x - _WHOLE)
        x = np.clip(
            np.where(model.integrality, up, root.x), model.col_lower, model.col_upper
        )
        return self._completed(x, "lp-round-up")

    def _dive_lp(self, factor: float, stop: Stop | None = None) -> Floats | None:
        """Dive in the LP twice: first fixing all nearly integral variables, then one per step."""
        stop = stop or self._others_succeeded
        root = self._guide.wait(max(0.1, 0.2 * self._deadline.left_s()), stop)
        if root is None or root.x is None:
            return None
        self._may_dive_late = False
        limit_s = min(factor * _LP_DIVE_CPU_S, 0.3 * self._deadline.left_s())
        until = time.process_time() + limit_s
        for nearly in (0.8, 2.0):
            x = lp_dive(
                self._model,
                self._guide.relaxation,
                root,
                until=until,
                stop=stop,
                nearly=nearly,
            )
            if x is not None:
                x = self._completed(x, "lp-dive")
                if x is not None:
                    return x
        return None

    def _solve_fractional(self, factor: float, stop: Stop | None = None) -> Floats | None:
        """Solve for what the root LP leaves fractional; from the second round on for more."""
        stop = stop or self._others_succeeded
        root = self._guide.wait(max(0.1, 0.2 * self._deadline.left_s()), stop)
        if root is None or root.x is None:
            return None
        self._may_solve_late = False
        x = lp_sub_mip(
            self._slicer,
            root.x,
            HighsSolver(),
            share=0.2 * (factor - 1.0),
            most_share=_SMALL_SHARE if factor <= 1.0 else _MOST_SHARE,
            rng=self._rng,
            seconds=min(factor * _SUB_MIP_CPU_S, 0.3 * self._deadline.left_s()),
            stop=lambda: stop() or self._deadline.over(),
        )
        return None if x is None else self._completed(x, "lp-sub-mip")

    def _dives(self, plan: DivePlan, factor: float, heuristic: str) -> Floats | None:
        """Dive by `plan` until one is feasible, time is up, or another process has a solution."""
        propagator = self._propagator()
        until = time.process_time() + factor * _DIVE_CPU_S
        for dive in range(_DIVES):
            x = propagator.dive(*plan(dive), until)
            if x is not None:
                x = self._completed(x, heuristic)
                if x is not None:
                    return x
            if self._others_succeeded() or time.process_time() > until:
                break
        return None

    def _jump(self, factor: float) -> Floats | None:
        """Run the feasibility jump from the lower bounds, perturbed after the first round."""
        model = self._model
        start = np.where(
            np.isfinite(model.col_lower),
            model.col_lower,
            np.minimum(0.0, model.col_upper),
        )
        if factor > 1:
            start = start + (self._rng.random(model.n) < 0.1)
        until = time.process_time() + min(factor * _JUMP_CPU_S, self._deadline.left_s())
        x = feasibility_jump(
            model, self._slicer.by_row, self._slicer.by_column, start, self._rng, until
        )
        return None if x is None else self._completed(x, "feasibility-jump")

    def _solve(self) -> Floats | None:
        """Run HiGHS until its first solution, with another seed than the engine."""
        solutions: list[Floats] = []
        HighsSolver().solve(
            self._model,
            SolveParams(
                time_limit_s=max(0.05, self._deadline.left_s()),
                seed=int(self._rng.integers(2**31 - 1)),
                relative_gap=1.0,
            ),
            on_incumbent=lambda objective, x: solutions.append(x.copy()),
            stop=lambda: (
                bool(solutions)
                or self._others_succeeded()
                or self._deadline.left_s() <= 0
            ),
        )
        for candidate in solutions:
            x = self._completed(candidate, "highs")
            if x is not None:
                return x
        return self._take_over()

    def _others_succeeded(self) -> bool:
        return math.isfinite(self._others.objective)

    def _take_over(self) -> Floats | None:
        """Wait for a solution of another process."""
        while self._deadline.left_s() > 0:
            better = self._others.better_than(math.inf)
            if better is not None:
                self.source = "engine"
                return better[1]
            time.sleep(_POLL_S)
        return None

    def _propagator(self) -> Propagator:
        return Propagator(self._model, self._slicer.by_row, self._slicer.by_column)
