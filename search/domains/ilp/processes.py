"""The two processes of a run: the complete solver for the bound, and large neighbourhood search for the solution.

Both are forked from the supervisor, which has run no solver itself, and share their incumbents over the board.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from search.domains.ilp.board import Place
from search.lns.loop import LnsLoop, LnsParams
from search.lns.neighbourhoods import LbRelaxNeighbourhood, Neighbourhood, RandomNeighbourhood
from search.lns.prefer import Core
from search.lns.prune import ReducedCostPruning
from search.lns.start import constructive
from search.lns.sub_mip import Slicer
from search.native import Message, Say
from solvers.feasibility import is_feasible
from solvers.relaxation import Relaxation
from solvers.table import make_solver
from solvers.types import Bools, Floats, MilpModel, SolveParams
from trimtab.specs.ilp import LnsOptions
from trimtab.specs.ilp import Neighbourhood as Word

_MIN_INTEGERS_FOR_LNS = 20  # below, the complete solver is done before a neighbourhood is chosen


def run_engine(
    model: MilpModel,
    *,
    engine: str,
    mine: Place,
    theirs: Place | None,
    seconds: float,
    threads: int,
    seed: int,
    gap: float,
) -> Callable[[Say], None]:
    """Work of the process that runs the complete solver on the whole problem."""

    def work(say: Say) -> None:
        offered = math.inf

        def on_incumbent(objective: float, x: Floats) -> None:
            if objective < mine.objective:
                mine.put(objective, x)

        def injected() -> Floats | None:
            nonlocal offered
            if theirs is None:
                return None
            better = theirs.better_than(min(mine.objective, offered))
            if better is None:
                return None
            offered = better[0]
            return better[1]

        params = SolveParams(time_limit_s=max(0.01, seconds), threads=threads, seed=seed % 2**31, relative_gap=gap)
        result = make_solver(engine).solve(
            model, params, on_incumbent=on_incumbent, on_bound=mine.put_bound, injected=injected
        )
        if result.x is not None and result.primal is not None and result.primal < mine.objective:
            mine.put(result.primal, result.x)
        if result.dual_bound is not None and result.dual_bound > mine.bound:
            mine.put_bound(result.dual_bound)
        termination = result.termination
        say(
            {
                "reason": termination.reason.value,
                "limit": termination.limit.value if termination.limit else None,
                "detail": termination.detail,
                "nodes": result.nodes,
            }
        )

    return work


def lns_applies(model: MilpModel, options: LnsOptions) -> str | None:
    """Why large neighbourhood search stays out; None when it runs."""
    if not options.enabled:
        return "switched off by the spec"
    integers = int(model.integrality.sum())
    if integers < _MIN_INTEGERS_FOR_LNS:
        return f"only {integers} integer variables"
    return None


def run_lns(
    model: MilpModel,
    *,
    options: LnsOptions,
    mine: Place,
    theirs: Place,
    deadline: float,  # on time.monotonic(), which all processes of a machine share
    seed: int,
) -> Callable[[Say], None]:
    """Work of the process that searches neighbourhoods."""

    def work(say: Say) -> None:
        rng = np.random.default_rng(seed)
        slicer = Slicer(model)

        def stopped() -> bool:
            return time.monotonic() >= deadline

        def remaining_s() -> float:
            return max(0.0, deadline - time.monotonic())

        start = _first_solution(model, slicer, theirs, mine, remaining_s, seed)
        if start is None:
            return
        say({"started_from": model.objective(start)})
        relaxation = Relaxation(model)
        core = Core(model, slicer.by_row, slicer.by_column)
        loop = LnsLoop(
            model=model,
            slicer=slicer,
            solver=make_solver("highs"),
            arms=_arms(model, slicer, relaxation, options, remaining_s, stopped),
            movable=_pruner(model, relaxation, core),
            core=core.best,
            params=LnsParams(sub_mip_s=options.sub_mip_seconds),
            rng=rng,
            publish=_publisher(model, mine, say),
            others=theirs.better_than,
            stopped=stopped,
            remaining_s=remaining_s,
            on_iteration=lambda: say({"iteration": 1}),
        )
        loop.run(start)
        say(statistics(loop))

    return work


def statistics(loop: LnsLoop) -> Message:
    """What each arm did."""
    return {
        "arms": {
            name: {
                "calls": s.calls,
                "improvements": s.improvements,
                "seconds": round(s.seconds, 2),
                "size": loop.sizes[name],
            }
            for name, s in loop.statistics.items()
        }
    }


def _publisher(model: MilpModel, mine: Place, say: Say) -> Callable[[float, Floats, str], None]:
    def publish(objective: float, x: Floats, source: str) -> None:
        # The solver's word is not enough: what is shared must hold on the whole model.
        if objective < mine.objective and is_feasible(model, x):
            mine.put(objective, x)
            say({"source": source})

    return publish


def _arms(
    model: MilpModel,
    slicer: Slicer,
    relaxation: Relaxation,
    options: LnsOptions,
    remaining_s: Callable[[], float],
    stopped: Callable[[], bool],
) -> dict[str, Neighbourhood]:
    arms: dict[str, Neighbourhood] = {}
    for word in options.neighbourhoods:
        if word is Word.RANDOM:
            arms[word.value] = RandomNeighbourhood(model, slicer.by_row, slicer.by_column)
        elif word is Word.LB_RELAX:
            arms[word.value] = LbRelaxNeighbourhood(
                model, relaxation, lp_seconds=max(1.0, 0.2 * remaining_s()), stop=stopped
            )
    return arms


def _pruner(model: MilpModel, relaxation: Relaxation, core: Core) -> Callable[[Floats, float], tuple[Bools, Bools]]:
    """Reduced-cost fixing once some arm has had the root LP solved; until then everything may move."""
    everything, nothing = np.ones(model.n, dtype=bool), np.zeros(model.n, dtype=bool)
    pruning: ReducedCostPruning | None = None

    def movable(x: Floats, cutoff: float) -> tuple[Bools, Bools]:
        nonlocal pruning
        if pruning is None and relaxation.solved_root is not None:
            pruning = ReducedCostPruning(model, relaxation.solved_root)
            core.learn(relaxation.solved_root)
        return (everything, nothing) if pruning is None else pruning.movable(x, cutoff)

    return movable


def _first_solution(
    model: MilpModel,
    slicer: Slicer,
    theirs: Place,
    mine: Place,
    remaining_s: Callable[[], float],
    seed: int,
) -> Floats | None:
    """A construction where one applies, else whichever comes first: the engine's solution, or HiGHS' here."""
    x = constructive(model, slicer.by_row, slicer.by_column)
    if x is not None and is_feasible(model, x):
        mine.put(model.objective(x), x)
        return x
    found: list[Floats] = []

    def stop() -> bool:
        return bool(found) or math.isfinite(theirs.objective) or remaining_s() <= 0

    if not stop():
        make_solver("highs").solve(
            model,
            # Another seed than the engine's: the same start twice would be one start.
            SolveParams(time_limit_s=max(0.05, remaining_s()), seed=(seed + 1) % 2**31, relative_gap=1.0),
            on_incumbent=lambda objective, x: found.append(x.copy()),
            stop=stop,
        )
    for candidate in found:
        if is_feasible(model, candidate):
            mine.put(model.objective(candidate), candidate)
            return candidate
    while remaining_s() > 0:
        better = theirs.better_than(math.inf)
        if better is not None:
            return better[1]
        time.sleep(0.02)
    return None
