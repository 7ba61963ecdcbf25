"""LNS process: start heuristics, then large neighbourhood search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from search.domains.ilp.search.messages import (
    Iterated,
    NewIncumbent,
    Note,
    SearchStarted,
    Send,
    Statistics,
    Work,
)
from search.domains.ilp.search.slots import IncumbentSlot, IncumbentSlots, RunSlots
from search.domains.ilp.search.start_heuristics import StartHeuristics
from search.lns.arms import ArmParts, make_arms
from search.lns.constructive import constructive
from search.lns.core_columns import CoreColumns
from search.lns.deadline import Deadline
from search.lns.focus import RootFocus
from search.lns.guide import Guide
from search.lns.intensify import make_intensifier
from search.lns.loop import LnsLoop, LnsParams
from search.lns.observer import LnsObserver
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.table import make_solver
from solvers.types import Floats, MilpModel
from trimtab.specs.ilp import LnsOptions, Neighbourhood

_STATISTICS_EVERY_S = 0.5  # so that a killed process leaves its figures
_AT_ONCE_NONZEROS = 200_000
_AT_ONCE_COLUMNS = 50_000
# Below, the complete solver ends before a neighbourhood is chosen.
_MIN_INTEGERS_FOR_LNS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class StartPoints:
    """Points (n,) at hand before the search."""

    warm_start: Floats | None = None  # from the user; NaN where there is no value
    constructed: Floats | None = None  # feasible, by construction


def lns_refusal(model: MilpModel, options: LnsOptions) -> str | None:
    """Return why large neighbourhood search does not run; None if it does."""
    if not options.enabled:
        return "switched off by the spec"
    integers = int(model.integrality.sum())
    if integers == 0:
        return "the model has no integer variables"
    if integers < _MIN_INTEGERS_FOR_LNS:
        return f"only {integers} integer variable{'' if integers == 1 else 's'}"
    return None


def construct_at_once(model: MilpModel, slicer: Slicer) -> Floats | None:
    """Construct (n,) a feasible solution if that takes at most about 0.05 s; else return None.

    The supervisor makes it itself while the engine starts: a fork takes as long, and every process
    of the run has the solution then.
    """
    if model.nnz > _AT_ONCE_NONZEROS or model.n > _AT_ONCE_COLUMNS:
        return None
    x = constructive(model, slicer.by_row, slicer.by_column)
    return x if x is not None and is_feasible(model, x) else None


def run_lns(
    model: MilpModel,
    *,
    options: LnsOptions,
    slots: RunSlots,
    deadline: float,  # on time.monotonic()
    seed: int,
    slicer: Slicer,
    start: StartPoints,
    policy: Mapping[str, np.ndarray] | None = None,
) -> Work:
    """Return the work of the LNS process. The root LP comes from `slots.root_lp`.

    policy: weights fitted to the model's family; the learned arm then joins the others.
    """

    def work(send: Send) -> None:
        rng = np.random.default_rng(seed)
        others = IncumbentSlots(slots.engine, slots.jump)
        guide = Guide(
            model,
            deadline=Deadline(deadline),
            focus=RootFocus(model, CoreColumns(model, slicer.by_row, slicer.by_column)),
            shared_root=slots.root_lp,
        )
        heuristics = StartHeuristics(
            guide, slicer, others=others, rng=rng, constructed=start.constructed
        )
        x = heuristics.find(start.warm_start)
        if x is None:
            return
        objective = model.objective(x)
        if objective < min(slots.lns.objective, others.objective):
            slots.lns.put(objective, x)
            send(NewIncumbent(source=f"start:{heuristics.source}"))
        send(SearchStarted(objective=objective, heuristic=heuristics.source))
        observer = _Observer(model, slots.lns, others, heuristics.late_solution, send)
        words = options.neighbourhoods
        # Nobody who chose no arms needs to read that one of them does not fit the model.
        chosen = policy is not None or words != LnsOptions().neighbourhoods
        if policy is not None:
            words = (*words, Neighbourhood.CL_LNS)
        wants_intensifier = Neighbourhood.ONE_SWAP in options.neighbourhoods
        loop = LnsLoop(
            guide,
            slicer=slicer,
            solver=make_solver(options.sub_mip_engine.value),
            arms=make_arms(
                words,
                ArmParts(
                    guide=guide,
                    slicer=slicer,
                    note=lambda text: send(Note(text=text)) if chosen else None,
                    policy=policy,
                ),
            ),
            intensifier=make_intensifier(model, slicer.by_row, slicer.by_column)
            if wants_intensifier
            else None,
            params=LnsParams(sub_mip_s=options.sub_mip_seconds),
            rng=rng,
            observer=observer,
        )
        observer.statistics = lambda: statistics_of(loop, guide)
        loop.run(x)
        send(statistics_of(loop, guide))

    return work


def statistics_of(loop: LnsLoop, guide: Guide) -> Statistics:
    """Return the figures of each arm that was called, and the seconds inside sub-MIPs and LPs."""
    return Statistics(
        arms={
            name: {
                "calls": arm.calls,
                "improvements": arm.improvements,
                "seconds": round(arm.seconds, 2),
                "size": loop.sizes.get(name, 0),
            }
            for name, arm in loop.statistics.items()
            if arm.calls
        },
        solver_seconds=round(loop.solver_s + guide.solver_s, 2),
    )


class _Observer(LnsObserver):
    """Ties of the loop to the slots and the supervisor."""

    def __init__(
        self,
        model: MilpModel,
        slot: IncumbentSlot,
        others: IncumbentSlots,
        late_start: Callable[[], Floats | None],
        send: Send,
    ) -> None:
        self._model, self._slot, self._others = model, slot, others
        self._late_start, self._send = late_start, send
        self._reported_at = 0.0
        self.statistics: Callable[[], Statistics] | None = None

    def on_improvement(self, objective: float, x: Floats, source: str) -> None:
        """Share a better solution with the other processes."""
        # Solvers work within tolerances: a shared solution must hold on the whole model.
        if objective < self._slot.objective and is_feasible(self._model, x):
            self._slot.put(objective, x)
            self._send(NewIncumbent(source=source))

    def on_iteration(self) -> None:
        """Count a turn, and report figures every half second."""
        self._send(Iterated())
        now = time.monotonic()
        if self.statistics is not None and now - self._reported_at > _STATISTICS_EVERY_S:
            self._reported_at = now
            self._send(self.statistics())

    def better_elsewhere(self, objective: float) -> tuple[float, Floats] | None:
        """Return a better solution of the engine or the jump."""
        return self._others.better_than(objective)

    def late_start(self) -> Floats | None:
        """Return the LP dive's solution once the root LP is there."""
        return self._late_start()
