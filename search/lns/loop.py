"""Large neighbourhood search: the loop of LB-RELAX and CL-LNS with several arms.

    x̂ ← start heuristic
    repeat  pick an arm (bandit) and its size k
            X ← arm's destroy heuristic, |X| ≈ k            (search.lns.arms)
            X ← X and what must be free for X to move       (search.lns.coupling)
            x ← solve the sub-MIP over X below the cutoff   (search.lns.sub_mip and a solver)
            accept improvements; adapt k to how the sub-MIP ended; reward the arm
            take over better solutions from the rest of the run

LB-RELAX: Huang, Ferber, Tian, Dilkina and Steiner, CPAIOR 2023. CL-LNS: the same, ICML 2023.
Differences from both are in deploy/docs/design/ilp.md, "LNS loop" and "Arm selection".

All seconds here are processor time of this process (search.lns.wall_clock).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.bandit import DiscountedBandit
from search.lns.arms import ActiveArm, ArmParts, make_arms
from search.lns.coupling import Coupling
from search.lns.granularity import granularity
from search.lns.guide import Guide
from search.lns.intensify import Intensifier
from search.lns.observer import LnsObserver, Repair
from search.lns.size_control import Size
from search.lns.sub_mip import Slicer, SubMip
from solvers.feasibility import is_feasible
from solvers.types import Bools, Floats, MilpModel, SolveParams, Solver, SolveResult
from trimtab.results import Reason
from trimtab.specs.ilp import Neighbourhood

# Least relative improvement where the objective has no granularity.
_REL_IMPROVEMENT = 1e-7
_FIRST_LIMIT_S = 0.3  # of a sub-MIP
# Of a sub-MIP's limit: steps of one turn while the size is still too small.
_TURN_SHARE = 0.3
# A sub-MIP that ends without a result before this share of its limit in processor time was short
# of a core, not too large.
_FULL_SHARE = 0.8
# Least limit of a sub-MIP, in times of its LP over the continuous variables alone.
_BASES = 6.0
_LIMIT_GROWTH = 1.5
_WAIT_S = 0.005  # while all arms wait for the root LP
# Of the intensifier beside the arms, between two looks at the rest of the run.
_SLICE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class LnsParams:
    """Limits and shares of the loop; those of single arms are in `search.lns.arms`."""

    sub_mip_s: float = 3.0  # longest sub-MIP
    # Relative. Proofs to the last digit are not worth their time inside LNS.
    sub_mip_gap: float = 1e-3
    intensify_s: float = 0.1  # of one call of the intensifier
    # Time of an intensifier beside the arms, as a share of the arms' time: at first and after each
    # gain, and at least. In between it halves with every `intensify_half_s` of it without a gain:
    # a vertex cover lost half of its time to exchanges that found nothing after two seconds.
    intensify_share: float = 1.0
    least_intensify_share: float = 0.2
    intensify_half_s: float = 2.0
    # Relative gain of a call of the intensifier at the start that is worth another call at once.
    intensify_gain: float = 2e-3
    least: int = 10  # variables to free
    most_share: float = 0.8  # of the integer variables
    core_share: float = 0.75  # of the steps that choose among the core only
    core_factor: float = 3.0  # size of the core over the size of the neighbourhood
    # Sub-MIP limits' worth of time without improvement before the limit is raised by half.
    patience: float = 8.0


@dataclass
class ArmStatistics:
    """Calls of one arm, and their results."""

    calls: int = 0
    improvements: int = 0
    seconds: float = 0.0


class LnsLoop:
    """The search. Parts are arguments; `observer` ties it to the rest of the run."""

    def __init__(
        self,
        guide: Guide,
        *,
        slicer: Slicer,
        solver: Solver,
        arms: Sequence[ActiveArm],
        intensifier: Intensifier | None = None,
        params: LnsParams,
        rng: np.random.Generator,
        observer: LnsObserver,
    ) -> None:
        self._guide, self._slicer, self._solver = guide, slicer, solver
        self._model, self._pool = guide.model, guide.pool
        self._deadline, self._wall_ratio = guide.deadline, guide.wall_ratio
        self._arms = {arm.name: arm.heuristic for arm in arms}
        self._intensifier = intensifier
        self._params, self._rng, self._observer = params, rng, observer
        self._base_s = 0.0  # of a sub-MIP without free integer variables
        self._limit_s = self._least_limit_s
        self._stale_s = 0.0
        self._coupling = Coupling(self._model, slicer.by_row)
        # Size of a completed neighbourhood over that of the arm's own choice.
        self._completion = {arm.name: 1.0 for arm in arms}
        self._sizes = _first_sizes(self._model, arms, params)
        names = [] if intensifier is None else [intensifier.name]
        # Without arms, an intensifier that goes beside them is the one arm.
        competes = intensifier is not None and (intensifier.competes or not arms)
        self._bandit = DiscountedBandit(
            names * competes + [arm.name for arm in arms],
            expected_s={arm.name: arm.row.expected_s for arm in arms},
            prior={arm.name: arm.row.prior for arm in arms if arm.row.prior},
            weights={arm.name: arm.row.weight for arm in arms},
        )
        self._granularity = granularity(self._model)
        self._owed_s = 0.0  # to an intensifier beside the arms
        self._share = params.intensify_share  # of the arms' time
        self.statistics = {name: ArmStatistics() for name in [*names, *self._arms]}
        self.solver_s = 0.0  # inside sub-MIP solves
        self.objective = math.inf
        self.x: Floats | None = None

    def run(self, start: Floats) -> None:
        """Improve on `start` (feasible) until the deadline."""
        self.x, self.objective = start, self._model.objective(start)
        self._pool.add(self.objective, start)
        self._intensify_start()
        self._settle_continuous()
        while not self._deadline.over():
            self._take_over()
            self._take_late_start()
            ready = [name for name in self._bandit.arms if not self._waits(name)]
            if not ready:
                self._intensify_or_wait()
                continue
            name = self._bandit.pick(self._rng, ready)
            gain, seconds = self._turn(name)
            self._bandit.update(name, gain=gain, seconds=seconds)
            self._adapt_limit(improved=gain > 0, seconds=seconds)
            self._intensify_beside(seconds)
            self._observer.on_iteration()

    @property
    def sizes(self) -> dict[str, int]:
        """Current size of each arm."""
        return {name: size.count for name, size in self._sizes.items()}

    @property
    def _least_limit_s(self) -> float:
        """Least limit of a sub-MIP: what its LP takes must leave room to search."""
        return min(max(_FIRST_LIMIT_S, _BASES * self._base_s), self._params.sub_mip_s)

    def _settle_continuous(self) -> None:
        """Optimise the continuous variables of a mixed model, and learn what that takes.

        Every sub-MIP pays for it, because continuous variables are always free. Against a limit
        near this time no neighbourhood is quick, and all sizes fell to their least.
        """
        if self.x is None or bool(self._model.integrality.all()):
            return
        sub = self._slicer.cut(self.x, ~self._model.integrality)
        if sub is None or sub.model.n == 0 or self._deadline.over():
            return
        limit_s = max(0.05, min(self._params.sub_mip_s, self._deadline.left_s()))
        result, self._base_s = self._solve(sub, limit_s, self.objective)
        self._limit_s = max(self._limit_s, self._least_limit_s)
        if result.x is not None:
            self._accept(sub.lift(self.x, result.x), "lns:continuous")

    def _intensify_start(self) -> None:
        """Call the intensifier while it gains much, before any arm has a turn."""
        if self._intensifier is None:
            return
        while (
            self._intensify(self._intensifier, self._params.intensify_s)
            >= self._params.intensify_gain
            and not self._deadline.over()
        ):
            self._take_over()

    def _intensify_or_wait(self) -> None:
        """Use the time in which all arms wait for the root LP."""
        if self._intensifier is None or self._intensifier.competes:
            time.sleep(_WAIT_S)
            return
        self._turn(self._intensifier.name)
        self._observer.on_iteration()

    def _intensify_beside(self, seconds: float) -> None:
        """Give an intensifier beside the arms its share of an arm's `seconds`."""
        if self._intensifier is None or self._intensifier.competes:
            return
        self._owed_s += self._share * seconds
        while self._owed_s >= self._params.intensify_s and not self._deadline.over():
            self._take_over()
            slice_s = min(self._owed_s, _SLICE_S)
            gain, used_s = self._turn(self._intensifier.name, slice_s)
            self._owed_s -= slice_s
            self._adapt_share(improved=gain > 0, seconds=used_s)

    def _adapt_share(self, *, improved: bool, seconds: float) -> None:
        """Keep the intensifier's share while it gains; let it fade otherwise."""
        params = self._params
        faded = self._share * 0.5 ** (seconds / params.intensify_half_s)
        self._share = (
            params.intensify_share
            if improved
            else max(params.least_intensify_share, faded)
        )

    def _waits(self, name: str) -> bool:
        return name in self._arms and self._arms[name].waits()

    def _turn(self, name: str, intensify_s: float | None = None) -> tuple[float, float]:
        """Return (relative gain, seconds) of one turn of an arm or of the intensifier."""
        began = time.process_time()
        if self._intensifier is not None and name == self._intensifier.name:
            gain = self._intensify(
                self._intensifier, intensify_s or self._params.intensify_s
            )
        else:
            gain = self._steps(name)
        seconds = max(0.0, time.process_time() - began - self._guide.take_setup_s())
        if name in self._arms and name not in self._bandit.arms:
            return gain, seconds  # it does not apply to the model, and was not called
        statistics = self.statistics[name]
        statistics.calls += 1
        statistics.improvements += gain > 0
        statistics.seconds += seconds
        return gain, seconds

    def _steps(self, name: str) -> float:
        """Take steps of one arm until one improves or they used a fair share of the limit.

        A size that is far too small shows within milliseconds and should not cost the arm its turn.
        """
        spent = 0.0
        while True:
            before = self._sizes[name].count
            began = time.process_time()
            gain = self._step(name)
            spent += time.process_time() - began
            grows = self._sizes[name].count > before and name in self._bandit.arms
            if (
                gain > 0
                or not grows
                or spent > _TURN_SHARE * self._limit_s
                or self._deadline.over()
            ):
                return gain

    def _step(self, name: str) -> float:
        """Destroy and repair once; return the relative improvement."""
        if self.x is None:
            raise RuntimeError("run() sets a first solution")
        arm = self._arms[name]
        if not arm.ready(self.x):
            self._drop(name)
            return 0.0
        size = self._sizes[name]
        cutoff = self.objective - self._least_improvement()
        movable, must = self._movable(size.count, cutoff, self.x)
        free = self._chosen(name, self.x, size.count, movable) | must
        sub = self._slicer.cut(self.x, free)
        if sub is None or self._deadline.over():
            return 0.0
        limit_s = max(0.05, min(self._limit_s, self._deadline.left_s()))
        result, used_s = self._solve(sub, limit_s, cutoff)
        improved = (
            result.x is not None
            and result.primal is not None
            and result.primal < cutoff + 1e-9
        )
        proved = result.termination.reason in (Reason.OPTIMAL, Reason.INFEASIBLE)
        if proved or improved or used_s >= _FULL_SHARE * limit_s:
            self._sizes[name] = size.after(
                proved=proved,
                improved=improved,
                seconds=used_s,
                limit_s=limit_s,
                base_s=self._base_s,
            )
            if not proved and size.count == size.least:
                # No smaller size is left, so the limit was too short.
                self._raise_limit()
        after = sub.lift(self.x, result.x) if improved and result.x is not None else None
        self._observer.on_repair(
            Repair(arm=name, before=self.x, free=free, proved=proved, after=after)
        )
        return 0.0 if after is None else self._accept(after, f"lns:{name}")

    def _drop(self, name: str) -> None:
        """Take an arm out of play; the random one stands in for the last."""
        if self._bandit.arms == (name,) and name != Neighbourhood.RANDOM.value:
            others = make_arms([], ArmParts(guide=self._guide, slicer=self._slicer))
            for arm in others:
                self._arms[arm.name] = arm.heuristic
                self._completion[arm.name] = 1.0
                self.statistics[arm.name] = ArmStatistics()
                self._bandit.add(arm.name)
            self._sizes |= _first_sizes(self._model, others, self._params)
        self._bandit.drop(name)

    def _chosen(self, name: str, x: Floats, count: int, movable: Bools) -> Bools:
        """Return (n,) an arm's choice, completed, of about `count` integer variables."""
        integer = self._model.integrality
        own = max(1, round(count / self._completion[name]))
        chosen = self._arms[name].choose(x, own, self._rng, movable)
        free = self._coupling.completed(x, chosen)
        ratio = float((free & integer).sum()) / max(1, int((chosen & integer).sum()))
        self._completion[name] = 0.5 * (self._completion[name] + ratio)
        return free

    def _movable(self, count: int, cutoff: float, x: Floats) -> tuple[Bools, Bools]:
        """Return (n,) the variables an arm may free and those that must be free."""
        movable, must = self._guide.focus.movable(x, cutoff)
        if self._rng.random() < self._params.core_share:
            core = self._guide.focus.core(round(self._params.core_factor * count), x)
            movable = movable if core is None else movable & core
        return movable, must

    def _solve(
        self, sub: SubMip, limit_s: float, cutoff: float
    ) -> tuple[SolveResult, float]:
        """Return the sub-MIP's result and the seconds it used, of which it may use `limit_s`."""
        began = time.process_time()

        def stop() -> bool:
            return self._deadline.over() or time.process_time() - began > limit_s

        result = self._solver.solve(
            sub.model,
            SolveParams(
                time_limit_s=max(
                    0.05, min(self._wall_ratio.wall_s(limit_s), self._deadline.left_s())
                ),
                seed=int(self._rng.integers(2**31 - 1)),
                relative_gap=self._params.sub_mip_gap,
                cutoff=cutoff,
            ),
            stop=stop,
        )
        used_s = time.process_time() - began
        self._wall_ratio.record(wall_s=result.elapsed_s, cpu_s=used_s)
        self.solver_s += used_s
        return result, used_s

    def _intensify(self, intensifier: Intensifier, seconds: float) -> float:
        """Search locally around the incumbent; return the relative improvement."""
        if self.x is None:
            raise RuntimeError("run() sets a first solution")
        seconds = min(seconds, max(0.01, self._deadline.left_s()))
        source, before = f"lns:{intensifier.name}", self.objective

        def on_better(x: Floats) -> None:
            self._accept(x, source)

        self._accept(intensifier.improve(self.x, seconds, self._rng, on_better), source)
        return (before - self.objective) / max(1e-9, abs(before))

    def _adapt_limit(self, *, improved: bool, seconds: float) -> None:
        """Keep sub-MIPs short while they help; allow longer ones after several without success."""
        if improved:
            self._stale_s = 0.0
            self._limit_s = max(self._least_limit_s, 0.9 * self._limit_s)
            return
        self._stale_s += seconds
        if self._stale_s >= self._params.patience * self._limit_s:
            self._stale_s = 0.0
            self._raise_limit()

    def _raise_limit(self) -> None:
        self._limit_s = min(self._params.sub_mip_s, _LIMIT_GROWTH * self._limit_s)

    def _take_over(self) -> None:
        """Continue from a better solution of the rest of the run, if there is one."""
        better = self._observer.better_elsewhere(self.objective)
        if better is not None:
            self.objective, self.x = better
            self._pool.add(*better)

    def _take_late_start(self) -> None:
        start = self._observer.late_start()
        if start is not None:
            self._accept(start, "lns:lp-dive")

    def _accept(self, x: Floats, source: str) -> float:
        """Make `x` the incumbent if it is better and feasible; return the relative improvement."""
        x = np.where(self._model.integrality, np.round(x), x)
        objective = self._model.objective(x)
        margin = 1e-12 * max(1.0, abs(self.objective))
        # Sub-MIPs are solved within tolerances: what they return must hold on the whole model.
        if not objective < self.objective - margin or not is_feasible(self._model, x):
            return 0.0
        gain = (self.objective - objective) / max(1e-9, abs(self.objective))
        self.objective, self.x = objective, x
        self._pool.add(objective, x)
        self._observer.on_improvement(objective, x, source)
        return gain

    def _least_improvement(self) -> float:
        """Return the objective's granularity, or a small tolerance where it has none."""
        if self._granularity > 0:
            return self._granularity * (1 - 1e-6)
        return max(1e-9, _REL_IMPROVEMENT * abs(self.objective))


def _first_sizes(
    model: MilpModel, arms: Sequence[ActiveArm], params: LnsParams
) -> dict[str, Size]:
    count = int(model.integrality.sum())
    most = max(1, int(params.most_share * count))
    least = min(params.least, most)
    return {
        arm.name: Size(k=max(least, arm.row.first_share * count), least=least, most=most)
        for arm in arms
    }
