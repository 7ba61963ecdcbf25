"""A run of the neighbourhood search alone, in one process and against processor time.

Beside other work a second of the clock is worth less; processor seconds compare on a busy machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from search.domains.ilp.search.slots import IncumbentSlot, IncumbentSlots
from search.domains.ilp.search.start_heuristics import StartHeuristics
from search.lns.arms import ArmParts, make_arms
from search.lns.core_columns import CoreColumns
from search.lns.deadline import Deadline
from search.lns.focus import RootFocus
from search.lns.guide import Guide
from search.lns.intensify import make_intensifier
from search.lns.learned import no_note
from search.lns.loop import ArmStatistics, LnsLoop, LnsParams
from search.lns.observer import LnsObserver, Repair
from search.lns.root_lp import SharedRootLp
from search.lns.sub_mip import Slicer
from solvers.highs import HighsSolver
from solvers.types import Floats, MilpModel, Solver
from trimtab.specs.ilp import Neighbourhood

Trace = list[tuple[float, float]]
# The root LP ends with the deadline, in processor time; its own limit would count the clock's.
_ROOT_S = 600.0


def _never() -> bool:
    return False


class CpuDeadline(Deadline):
    """Time limit in processor seconds of this process, from now on."""

    def __init__(self, seconds: float, *, stop: Callable[[], bool] = _never) -> None:
        super().__init__(stop=stop)
        self._until, self._ends = time.process_time() + seconds, stop

    def over(self) -> bool:
        """Return True once the time is used or `stop()` is True."""
        return self.left_s() <= 0 or self._ends()

    def left_s(self) -> float:
        """Return the processor seconds that are left, at least 0."""
        return max(0.0, self._until - time.process_time())


@dataclass(kw_only=True)
class Log(LnsObserver):
    """Record of every incumbent, when it came, and of the sets that held nothing better at it."""

    began: float = field(default_factory=time.process_time)
    incumbents: list[tuple[float, Floats]] = field(default_factory=list)
    # Parallel to `incumbents`: sets closed without a gain, sets that ran into their limit without
    # one, the set that led to the next incumbent if there was one, and processor seconds.
    failed: list[list[np.ndarray]] = field(default_factory=list)
    unproved: list[list[np.ndarray]] = field(default_factory=list)
    won: list[np.ndarray | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    _gained: np.ndarray | None = None

    def on_improvement(self, objective: float, x: Floats, source: str) -> None:
        """Begin a new incumbent; the first one is the start."""
        if self.won:
            self.won[-1] = self._gained
        self._gained = None
        self.incumbents.append((objective, x))
        self.failed.append([])
        self.unproved.append([])
        self.won.append(None)
        self.times.append(time.process_time() - self.began)

    def on_repair(self, step: Repair) -> None:
        """Record a set with its outcome."""
        if step.after is not None:
            self._gained = step.free
        elif step.proved:
            self.failed[-1].append(step.free)
        else:
            self.unproved[-1].append(step.free)

    @property
    def trace(self) -> Trace:
        """Processor seconds and objective of each incumbent."""
        pairs = zip(self.times, self.incumbents, strict=True)
        return [(at, objective) for at, (objective, _) in pairs]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """Outcome of one run."""

    log: Log
    arms: Mapping[str, ArmStatistics]
    sizes: Mapping[str, int]

    @property
    def objective(self) -> float:
        """Objective of the last incumbent, minimised."""
        return self.log.incumbents[-1][0]

    @property
    def x(self) -> Floats:
        """The last incumbent, (n,)."""
        return self.log.incumbents[-1][1]


def first_solution(
    model: MilpModel,
    *,
    seconds: float,
    rng: np.random.Generator,
    stop: Callable[[], bool] = _never,
) -> Floats | None:
    """Return (n,) a start by the heuristics that a run uses; None if there is none.

    The better one of the first solution and of the heuristics that come after the root LP.
    """
    guide = Guide(model, deadline=CpuDeadline(seconds, stop=stop), root_s=_ROOT_S)
    # A slot that nobody writes: a run's other processes are missing here.
    others = IncumbentSlots(IncumbentSlot(model.n))
    heuristics = StartHeuristics(guide, Slicer(model), others=others, rng=rng)
    first = heuristics.find()
    late = None if first is None or stop() else heuristics.late_solution()
    if late is None or first is None:
        return first
    return late if model.objective(late) < model.objective(first) else first


def run_trial(
    model: MilpModel,
    start: Floats,
    *,
    words: Sequence[Neighbourhood],
    seconds: float,
    seed: int,
    policy: Mapping[str, np.ndarray] | None = None,
    note: Callable[[str], object] = no_note,
    params: LnsParams | None = None,
    stop: Callable[[], bool] = _never,
) -> Trial:
    """Improve `start` by these arms for some processor seconds.

    policy: weights of the learned arm; without them it uses the shipped ones.
    """
    log = Log()
    guide = guide_of(model, CpuDeadline(seconds, stop=stop))
    loop = make_loop(
        guide,
        words=words,
        solver=HighsSolver(),
        rng=np.random.default_rng((seed, 3)),
        observer=log,
        policy=policy,
        note=note,
        params=params,
    )
    log.on_improvement(model.objective(start), start, "start")
    loop.run(start)
    return Trial(log=log, arms=loop.statistics, sizes=loop.sizes)


def guide_of(
    model: MilpModel, deadline: Deadline, *, shared_root: SharedRootLp | None = None
) -> Guide:
    """Return the guide of a run; it solves the root LP itself unless that is shared."""
    slicer = Slicer(model)
    return Guide(
        model,
        deadline=deadline,
        focus=RootFocus(model, CoreColumns(model, slicer.by_row, slicer.by_column)),
        shared_root=shared_root,
        root_s=_ROOT_S,
    )


def make_loop(
    guide: Guide,
    *,
    words: Sequence[Neighbourhood],
    solver: Solver,
    rng: np.random.Generator,
    observer: LnsObserver,
    policy: Mapping[str, np.ndarray] | None = None,
    note: Callable[[str], object] = no_note,
    params: LnsParams | None = None,
    local_search: bool = False,
) -> LnsLoop:
    """Return the loop of a run with these arms, alone in this process.

    local_search: with a run's local search on the incumbent, where the model has one.
    """
    slicer = Slicer(guide.model)
    return LnsLoop(
        guide,
        slicer=slicer,
        solver=solver,
        arms=make_arms(
            words, ArmParts(guide=guide, slicer=slicer, policy=policy, note=note)
        ),
        intensifier=make_intensifier(guide.model, slicer.by_row, slicer.by_column)
        if local_search
        else None,
        params=LnsParams() if params is None else params,
        rng=rng,
        observer=observer,
    )
