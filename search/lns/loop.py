"""Large neighbourhood search, as the papers write it:

x̂ ← start heuristic
repeat  pick an arm (bandit) and its size k
        X ← arm's destroy heuristic, |X| ≈ k            (search.lns.neighbourhoods, search.lns.learned)
        x ← solve the sub-MIP over X below the cutoff   (HiGHS on a slice of the matrix)
        accept improvements; adapt k to how the sub-MIP ended; reward the arm
        take over what others found
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from search.bandit import DiscountedBandit
from search.lns.exchange import Exchange
from search.lns.guide import Pool
from search.lns.neighbourhoods import Neighbourhood
from search.lns.size_control import Size
from search.lns.sub_mip import Slicer, SubMip
from search.lns.swap import OneSwap
from search.lns.wall_clock import WallClockRatio
from solvers.feasibility import is_feasible
from solvers.types import Bools, Floats, MilpModel, SolveParams, Solver, SolveResult
from trimtab.results import Reason

_REL_IMPROVEMENT = 1e-7
_FIRST_LIMIT_S = 0.3
_TURN_SHARE = 0.3
_MEANT = 0.8  # of a sub-MIP's limit in processor time: what ends earlier without a result was short of a core
_WAIT_S = 0.005  # when all arms wait for the root LP
_SLICE_S = 0.5  # of the search by exchanges, before it looks at what others have found
# Of a first call. LB-LPs may take long; the learned arm is tried early though it wants the root LP: all gain by that.
_EXPECTED_S = {
    "lb-relax": 0.3,
    "lb-relax-s": 0.3,
    "lb-relax-r": 0.3,
    "rins": 0.1,
    "cl-lns": 0.03,
}


@dataclass(frozen=True, kw_only=True)
class LnsParams:
    """What the loop may spend."""

    sub_mip_s: float = (
        3.0  # the most one sub-MIP may take, processor time as all seconds here
    )
    sub_mip_gap: float = (
        1e-3  # relative; proofs to the last digit are not worth their time inside LNS
    )
    # of the integer variables; relaxation-guided arms free the hardest ones, so they begin 3 times smaller (ilp.md, section 5)
    first_share: Mapping[str, float] = field(
        default_factory=lambda: {
            "random": 0.15,
            "variable-graph": 0.15,
            "constraint-block": 0.15,
            "crossover": 0.1,
        }
    )
    other_share: float = 0.05
    # Gain per second an arm is trusted with at first. A run has time for five to ten calls of each arm before the large gains
    # are over: too few to find out which is best (lab notes, 2026-11-26).
    prior: Mapping[str, float] = field(
        default_factory=lambda: {"cl-lns": 0.05, "variable-graph": 0.02}
    )
    swap_s: float = 0.1  # of one call of the one-swap search
    exchange_share: float = 1.0  # of an arm's seconds, that the search by exchanges gets after it where there is one
    swap_gain: float = (
        2e-3  # relative, of a call: worth another one at once, before any arm has its turn
    )
    least: int = 10
    most_share: float = 0.8  # of the integer variables
    core_share: float = (
        0.75  # of the steps choose among the core only (search.lns.core_columns)
    )
    core_factor: float = 3.0  # size of the core over the size of the neighbourhood
    patience: float = 8.0  # limits' worth of time without improvement before sub-MIPs get half as much again


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One destroy and repair, for those who learn from it. Shapes: (n,)."""

    arm: str
    before: Floats  # the incumbent
    free: Bools
    proved: bool  # the neighbourhood holds nothing better than `after`, or than `before` (within the gap of sub-MIPs)
    after: Floats | None  # the better solution; None when there was none


@dataclass
class ArmStatistics:
    """What an arm did."""

    calls: int = 0
    improvements: int = 0
    seconds: float = 0.0


class LnsLoop:
    """The search. Parts are arguments; `others` and `publish` are its ties to the rest of the run."""

    def __init__(
        self,
        *,
        model: MilpModel,
        slicer: Slicer,
        solver: Solver,
        arms: Mapping[str, Neighbourhood],
        swap: OneSwap | Exchange | None = None,
        pool: Pool | None = None,
        setup_s: Callable[[], float] = lambda: (
            0.0
        ),  # of the last step, what no single arm should be charged for
        params: LnsParams,
        rng: np.random.Generator,
        publish: Callable[
            [float, Floats, str], None
        ],  # (objective, x, source): a better solution
        others: Callable[
            [float], tuple[float, Floats] | None
        ],  # anything better than this objective found elsewhere
        stopped: Callable[[], bool],
        remaining_s: Callable[[], float],
        late: Callable[[], Floats | None] = lambda: (
            None
        ),  # a solution that comes after the start; asked before each step
        on_iteration: Callable[[], None] = lambda: None,
        on_step: Callable[[Step], None] = lambda step: None,
        movable: Callable[[Floats, float], tuple[Bools, Bools]]
        | None = None,  # see search.lns.reduced_cost_fixing
        core: Callable[[int, Floats], Bools | None] = lambda count, x: (
            None
        ),  # see search.lns.core_columns
        stretch: WallClockRatio | None = None,
    ) -> None:
        self._stretch = stretch or WallClockRatio()
        self._model, self._slicer, self._solver = model, slicer, solver
        self._arms = dict(arms)
        self._swap = swap
        self._setup_s = setup_s
        self._pool = Pool() if pool is None else pool
        self._params = params
        self._rng = rng
        self._publish, self._others = publish, others
        self._stopped, self._remaining_s = stopped, remaining_s
        self._late = late
        self._on_iteration, self._on_step = on_iteration, on_step
        everything, nothing = np.ones(model.n, dtype=bool), np.zeros(model.n, dtype=bool)
        self._core = core
        self._limit_s = min(_FIRST_LIMIT_S, params.sub_mip_s)
        self._stale_s = 0.0
        self._movable = movable or (lambda x, cutoff: (everything, nothing))
        count = int(model.integrality.sum())
        most = max(1, int(params.most_share * count))
        least = min(params.least, most)
        self._sizes = {
            name: Size(
                k=max(least, params.first_share.get(name, params.other_share) * count),
                least=least,
                most=most,
            )
            for name in arms
        }
        # Exchanges go beside the arms, not among them; where there are no others they are the one arm.
        competes = swap is not None and (isinstance(swap, OneSwap) or not arms)
        self._bandit = DiscountedBandit(
            [OneSwap.name] * competes + list(arms),
            expected_s=_EXPECTED_S,
            prior=params.prior,
        )
        self._granularity = granularity(model)
        self._owed_s = 0.0  # to a search that goes beside the arms
        self.statistics = {
            name: ArmStatistics()
            for name in [OneSwap.name] * (swap is not None) + list(arms)
        }
        self.solver_s = 0.0  # of all seconds, those inside sub-MIP solves
        self.objective = math.inf
        self.x: Floats | None = None

    def run(self, start: Floats) -> None:
        """Improve on `start` (feasible) until stopped."""
        self.x, self.objective = start, self._model.objective(start)
        self._pool.add(self.objective, start)
        # As long as it brings much; afterwards it is an arm among others, or goes beside them.
        if self._swap is not None:
            while (
                self._swapped(self._params.swap_s) >= self._params.swap_gain
                and not self._stopped()
            ):
                self._take_over()
        while not self._stopped():
            self._take_over()
            late = self._late()
            if late is not None:
                self._accept(late, "lns:lp-dive")
            among = [
                arm
                for arm in self._bandit.arms
                if arm == OneSwap.name or not self._arms[arm].waits()
            ]
            if not among:
                if isinstance(self._swap, Exchange):
                    self._turn(Exchange.name)
                    self._on_iteration()
                else:
                    time.sleep(_WAIT_S)
                continue
            name = self._bandit.pick(self._rng, among)
            gain, seconds = self._turn(name)
            self._bandit.update(name, gain=gain, seconds=seconds)
            self._be_patient(improved=gain > 0, seconds=seconds)
            if isinstance(self._swap, Exchange):
                self._owed_s += self._params.exchange_share * seconds
                while self._owed_s >= self._params.swap_s and not self._stopped():
                    self._take_over()
                    slice_s = min(self._owed_s, _SLICE_S)
                    self._turn(Exchange.name, slice_s)
                    self._owed_s -= slice_s
            self._on_iteration()

    def _turn(self, name: str, swap_s: float | None = None) -> tuple[float, float]:
        """(relative gain, seconds) of one arm's turn, noted."""
        began = time.process_time()
        gain = (
            self._swapped(swap_s or self._params.swap_s)
            if name == OneSwap.name
            else self._grown(name)
        )
        seconds = max(0.0, time.process_time() - began - self._setup_s())
        statistics = self.statistics[name]
        statistics.calls += 1
        statistics.improvements += gain > 0
        statistics.seconds += seconds
        return gain, seconds

    def _grown(self, name: str) -> float:
        """Steps of one arm until one improves, or they have taken a fair share of the limit: a size that is still far too
        small is found out in milliseconds, and should not cost the arm its turn."""
        spent = 0.0
        while True:
            before = self._sizes[name].count
            began = time.process_time()
            gain = self._iterate(name)
            spent += time.process_time() - began
            grows = self._sizes[name].count > before and name in self._bandit.arms
            if (
                gain > 0
                or not grows
                or spent > _TURN_SHARE * self._limit_s
                or self._stopped()
            ):
                return gain

    def _take_over(self) -> None:
        better = self._others(self.objective)
        if better is not None:
            self.objective, self.x = better
            self._pool.add(*better)

    def _swapped(self, seconds: float) -> float:
        if self.x is None or self._swap is None:
            raise RuntimeError("run() sets a first solution")
        seconds = min(seconds, max(0.01, self._remaining_s()))
        source, before = f"lns:{OneSwap.name}", self.objective

        def on_better(x: Floats) -> None:
            self._accept(x, source)

        self._accept(self._swap.improve(self.x, seconds, self._rng, on_better), source)
        return (before - self.objective) / max(1e-9, abs(before))

    def _iterate(self, name: str) -> float:
        """One destroy and repair; returns the relative improvement."""
        if self.x is None:
            raise RuntimeError("run() sets a first solution")
        arm = self._arms[name]
        if not arm.ready(self.x):
            self._bandit.drop(name)
            return 0.0
        size = self._sizes[name]
        cutoff = self.objective - self._step()
        movable, must = self._movable(self.x, cutoff)
        if self._rng.random() < self._params.core_share:
            core = self._core(round(self._params.core_factor * size.count), self.x)
            movable = movable if core is None else movable & core
        free = arm.choose(self.x, size.count, self._rng, movable) | must
        sub = self._slicer.cut(self.x, free)
        if sub is None or self._stopped():
            return 0.0
        limit_s = max(0.05, min(self._limit_s, self._remaining_s()))
        result, used_s = self._solved(sub, limit_s, cutoff)
        improved = (
            result.x is not None
            and result.primal is not None
            and result.primal < cutoff + 1e-9
        )
        proved = result.termination.reason in (Reason.OPTIMAL, Reason.INFEASIBLE)
        if (
            proved or improved or used_s >= _MEANT * limit_s
        ):  # else it was not cut off for its size
            self._sizes[name] = size.after(
                proved=proved, improved=improved, seconds=used_s, limit_s=limit_s
            )
        after = sub.lift(self.x, result.x) if improved and result.x is not None else None
        self._on_step(Step(arm=name, before=self.x, free=free, proved=proved, after=after))
        return 0.0 if after is None else self._accept(after, f"lns:{name}")

    def _solved(
        self, sub: SubMip, limit_s: float, cutoff: float
    ) -> tuple[SolveResult, float]:
        """The sub-MIP's result, and the processor seconds it took, of which it may take `limit_s`."""
        began = time.process_time()

        def stop() -> bool:
            return self._stopped() or time.process_time() - began > limit_s

        result = self._solver.solve(
            sub.model,
            SolveParams(
                time_limit_s=max(
                    0.05, min(self._stretch.wall_s(limit_s), self._remaining_s())
                ),
                seed=int(self._rng.integers(2**31 - 1)),
                relative_gap=self._params.sub_mip_gap,
                cutoff=cutoff,
            ),
            stop=stop,
        )
        used_s = time.process_time() - began
        self._stretch.note(wall_s=result.elapsed_s, cpu_s=used_s)
        self.solver_s += used_s
        return result, used_s

    def _be_patient(self, *, improved: bool, seconds: float) -> None:
        """Short sub-MIPs while they help; longer ones when nothing has for the time of several."""
        if improved:
            self._stale_s = 0.0
            self._limit_s = max(
                min(_FIRST_LIMIT_S, self._params.sub_mip_s), 0.9 * self._limit_s
            )
            return
        self._stale_s += seconds
        if self._stale_s >= self._params.patience * self._limit_s:
            self._stale_s = 0.0
            self._limit_s = min(self._params.sub_mip_s, 1.5 * self._limit_s)

    def _accept(self, x: Floats, source: str) -> float:
        x = np.where(self._model.integrality, np.round(x), x)
        objective = self._model.objective(x)
        if not objective < self.objective - 1e-12 * max(
            1.0, abs(self.objective)
        ) or not is_feasible(self._model, x):
            return 0.0  # no better, or within a solver's tolerance only
        gain = (self.objective - objective) / max(1e-9, abs(self.objective))
        self.objective, self.x = objective, x
        self._pool.add(objective, x)
        self._publish(objective, x, source)
        return gain

    def _step(self) -> float:
        """How much better a solution must be to count: the objective's granularity, or a hair."""
        if self._granularity > 0:
            return self._granularity * (1 - 1e-6)
        return max(1e-9, _REL_IMPROVEMENT * abs(self.objective))

    @property
    def sizes(self) -> dict[str, int]:
        """Current size of each arm."""
        return {name: size.count for name, size in self._sizes.items()}


def granularity(model: MilpModel) -> float:
    """A number that divides every difference of two objective values; 0.0 when there is none.

    On set cover with whole costs it is 1 or more, which prunes a sub-MIP hard: only a whole step better is of interest.
    """
    used = model.c != 0
    if not bool(used.any()) or not bool(model.integrality[used].all()):
        return 0.0
    costs = np.unique(np.abs(model.c[used]))
    for scale in (1.0, 10.0, 100.0, 1000.0):
        scaled = costs * scale
        whole = np.round(scaled)
        if (
            bool((np.abs(scaled - whole) <= 1e-9 * np.maximum(1.0, whole)).all())
            and whole.max() < 2**53
        ):
            return float(np.gcd.reduce(whole.astype(np.int64))) / scale
    return 0.0
