"""The two processes of a run: the complete solver for the bound, and large neighbourhood search for the solution.

Both are forked from the supervisor, which has run no solver itself, and share their incumbents over the board.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from cost_models.weights import load_weights, manifest
from gnn.policies.neighbourhood_numpy import NeighbourhoodNet
from search.domains.ilp.board import Place, Places
from search.domains.ilp.first import FirstSolution
from search.isolation import Message, Say
from search.lns.constructive import constructive
from search.lns.core_columns import Core
from search.lns.guide import Guide
from search.lns.learned import LearnedNeighbourhood
from search.lns.loop import LnsLoop, LnsParams
from search.lns.neighbourhoods import (
    ConstraintBlockNeighbourhood,
    CrossoverNeighbourhood,
    LbRelaxNeighbourhood,
    LbRelaxRounding,
    LbRelaxSampling,
    Neighbourhood,
    RandomNeighbourhood,
    RinsNeighbourhood,
    VariableGraphNeighbourhood,
)
from search.lns.reduced_cost_fixing import ReducedCostFixing
from search.lns.root_lp import SharedRootLp
from search.lns.structure import is_set_cover, is_set_packing
from search.lns.sub_mip import Slicer
from search.lns.swap import one_swap
from search.trace import primal_gap
from solvers.feasibility import is_feasible
from solvers.highs import feasibility_jump
from solvers.iis import irreducible_subset
from solvers.relaxation import LpSolution
from solvers.table import make_solver
from solvers.types import Bools, Floats, MilpModel, SolveParams, SolveResult
from trimtab.results import Reason
from trimtab.specs.ilp import LnsOptions
from trimtab.specs.ilp import Neighbourhood as Word

CL_LNS = "cl-lns"  # name of the weights
_STATISTICS_EVERY_S = 0.5
_ABSOLUTE_GAP = 1e-9  # of the scaled objective: the relative gap decides
_IIS_S = 5.0
_SHOWN = 100  # names of an infeasible subset
_AT_ONCE_NONZEROS = 200_000
_JUMP_NONZEROS = 600_000
_INJECTED_GAP = 0.5  # of a solution to the engine's bound; wider ones are kept from it
_MIN_INTEGERS_FOR_LNS = (
    20  # below, the complete solver is done before a neighbourhood is chosen
)


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
    warm_start: Floats | None = None,
) -> Callable[[Say], None]:
    """Work of the process that runs the complete solver on the whole problem."""

    def work(say: Say) -> None:
        offered = math.inf

        def on_incumbent(objective: float, x: Floats) -> None:
            # The engine's tolerance may be relative, and whole rows have none.
            if objective < mine.objective and is_feasible(model, x):
                mine.put(objective, x)
                say({"news": True})  # wakes the supervisor

        def injected() -> Floats | None:
            nonlocal offered
            if theirs is None:
                return None
            better = theirs.better_than(min(mine.objective, offered))
            if better is None or not worth_injecting(better[0], mine.bound):
                return None
            offered = better[0]
            return better[1]

        params = SolveParams(
            time_limit_s=max(0.01, seconds),
            threads=threads,
            seed=seed % 2**31,
            relative_gap=gap,
            absolute_gap=_ABSOLUTE_GAP,
        )
        began = time.monotonic()
        result = make_solver(engine).solve(
            model,
            params,
            hint=warm_start,
            on_incumbent=on_incumbent,
            on_bound=mine.put_bound,
            injected=injected,
        )
        if result.x is not None and result.primal is not None:
            on_incumbent(result.primal, result.x)
        if result.dual_bound is not None and result.dual_bound > mine.bound:
            mine.put_bound(result.dual_bound)
        termination = result.termination
        say(
            {
                "reason": termination.reason.value,
                "limit": termination.limit.value if termination.limit else None,
                "detail": termination.detail,
                "nodes": result.nodes,
                **_why_infeasible(model, result, seconds - (time.monotonic() - began)),
            }
        )

    return work


def worth_injecting(objective: float, bound: float) -> bool:
    """Whether the engine gains by a solution found beside it: one so near its bound that it prunes something.

    A far one only turns its heuristics away from what they would find by themselves: pmp-iss-157 is solved in 6 s of
    processor time, and was not in 12 with solutions injected that were 600 to 6,000 times the bound.
    """
    return math.isfinite(bound) and primal_gap(objective, bound) <= _INJECTED_GAP


def _why_infeasible(model: MilpModel, result: SolveResult, left_s: float) -> Message:
    """Names of an irreducible infeasible subset, where the relaxation has one and the time is there."""
    if result.termination.reason is not Reason.INFEASIBLE or left_s <= 0:
        return {}
    subset = irreducible_subset(model, seconds=min(_IIS_S, left_s))
    if subset is None:
        return {}
    return {
        "infeasible_rows": [model.row_name(i) for i in subset.rows[:_SHOWN]],
        "infeasible_columns": [model.column_name(j) for j in subset.columns[:_SHOWN]],
    }


def jump_pays(model: MilpModel) -> bool:
    """Whether HiGHS' feasibility jump on the model as it is may beat a construction within seconds: covers and packings."""
    return 0 < model.nnz <= _JUMP_NONZEROS and (
        is_set_cover(model) or is_set_packing(model)
    )


def run_jump(
    model: MilpModel, *, mine: Place, seconds: float, seed: int
) -> Callable[[Say], None]:
    """Work of the process that runs it. It does not end by itself when the jump has: kill it."""

    def work(say: Say) -> None:
        def on_incumbent(objective: float, x: Floats) -> None:
            if objective < mine.objective and is_feasible(model, x):
                mine.put(objective, x)

        feasibility_jump(
            model, seconds=seconds, seed=seed % 2**31, on_incumbent=on_incumbent
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


def construct_at_once(model: MilpModel, slicer: Slicer) -> Floats | None:
    """(n,) a feasible solution by construction, where that takes some hundredths of a second; None otherwise.

    Made by the supervisor itself while the engine starts: a fork takes as long, and every process of the run has it then.
    """
    if model.nnz > _AT_ONCE_NONZEROS or model.n > _AT_ONCE_NONZEROS // 4:
        return None
    x = constructive(model, slicer.by_row, slicer.by_column)
    return x if x is not None and is_feasible(model, x) else None


def run_lns(
    model: MilpModel,
    *,
    options: LnsOptions,
    mine: Place,
    theirs: Places,
    deadline: float,  # on time.monotonic(), which all processes of a machine share
    seed: int,
    slicer: Slicer | None = None,
    root: SharedRootLp | None = None,
    warm_start: Floats | None = None,
    constructed: Floats | None = None,
) -> Callable[[Say], None]:
    """Work of the process that searches neighbourhoods. The root LP comes from `root`; without that it solves it itself."""

    def work(say: Say) -> None:
        rng = np.random.default_rng(seed)
        cut = slicer or Slicer(model)

        def stopped() -> bool:
            return time.monotonic() >= deadline

        def remaining_s() -> float:
            return max(0.0, deadline - time.monotonic())

        core = Core(model, cut.by_row, cut.by_column)
        pruner = _Pruner(model, core)
        guide = Guide(
            model, stop=stopped, remaining_s=remaining_s, on_root=pruner.learn, beside=root
        )
        first = FirstSolution(
            model,
            cut,
            guide,
            theirs=theirs,
            remaining_s=remaining_s,
            rng=rng,
            constructed=constructed,
        )
        start = first.find(warm_start)
        if start is None:
            return
        objective = model.objective(start)
        if objective < min(mine.objective, theirs.objective):
            mine.put(objective, start)
            say({"source": f"start:{first.found_by}"})
        say({"started_from": objective, "start": first.found_by})
        told = 0.0
        loop: LnsLoop

        def on_iteration() -> None:
            nonlocal told
            say({"iteration": 1})
            if (
                time.monotonic() - told > _STATISTICS_EVERY_S
            ):  # so that a killed process leaves its figures
                told = time.monotonic()
                say(statistics(loop, guide))

        swap = (
            one_swap(model, cut.by_row, cut.by_column)
            if Word.ONE_SWAP in options.neighbourhoods
            else None
        )
        loop = LnsLoop(
            model=model,
            slicer=cut,
            solver=make_solver(options.sub_mip_engine.value),
            arms=_arms(model, cut, guide, options, say),
            swap=swap,
            pool=guide.pool,
            setup_s=guide.take_setup_s,
            movable=pruner.movable,
            core=core.best,
            stretch=guide.stretch,
            params=LnsParams(sub_mip_s=options.sub_mip_seconds),
            rng=rng,
            publish=_publisher(model, mine, say),
            others=theirs.better_than,
            stopped=stopped,
            remaining_s=remaining_s,
            late=first.late,
            on_iteration=on_iteration,
        )
        loop.run(start)
        say(statistics(loop, guide))

    return work


def statistics(loop: LnsLoop, guide: Guide) -> Message:
    """What each arm did, and how much of its seconds solvers took: sub-MIPs and LPs."""
    return {
        "arms": {
            name: {
                "calls": s.calls,
                "improvements": s.improvements,
                "seconds": round(s.seconds, 2),
                "size": loop.sizes.get(name, 0),
            }
            for name, s in loop.statistics.items()
            if s.calls
        },
        "solver_seconds": round(loop.solver_s + guide.solver_s, 2),
    }


def _publisher(
    model: MilpModel, mine: Place, say: Say
) -> Callable[[float, Floats, str], None]:
    def publish(objective: float, x: Floats, source: str) -> None:
        # The solver's word is not enough: what is shared must hold on the whole model.
        if objective < mine.objective and is_feasible(model, x):
            mine.put(objective, x)
            say({"source": source})

    return publish


def _arms(
    model: MilpModel, slicer: Slicer, guide: Guide, options: LnsOptions, say: Say
) -> dict[str, Neighbourhood]:
    """The arms that are asked for and legal here, cheap ones first: each is tried once before the bandit chooses."""
    arms: dict[str, Neighbourhood] = {}
    for word in options.neighbourhoods:
        match word:
            case Word.RANDOM:
                arms[word.value] = RandomNeighbourhood(model)
            case Word.VARIABLE_GRAPH if model.m:
                arms[word.value] = VariableGraphNeighbourhood(
                    model, slicer.by_row, slicer.by_column
                )
            case Word.CONSTRAINT_BLOCK if model.m:
                arms[word.value] = ConstraintBlockNeighbourhood(model, slicer.by_row)
            case Word.RINS:
                arms[word.value] = RinsNeighbourhood(model, guide)
            case Word.CROSSOVER:
                arms[word.value] = CrossoverNeighbourhood(model, guide)
            case Word.LB_RELAX:
                arms[word.value] = LbRelaxNeighbourhood(model, guide)
            case Word.LB_RELAX_S:
                arms[word.value] = LbRelaxSampling(model, guide)
            case Word.LB_RELAX_R:
                arms[word.value] = LbRelaxRounding(model, guide)
            case Word.CL_LNS if CL_LNS in manifest():
                net = NeighbourhoodNet(weights=load_weights(CL_LNS))
                arms[word.value] = LearnedNeighbourhood(
                    model, guide, net, say=lambda text: say({"note": text})
                )
            case _:
                pass  # not legal on this model, or no neighbourhood (one-swap)
    return arms or {Word.RANDOM.value: RandomNeighbourhood(model)}


class _Pruner:
    """Reduced-cost fixing once some arm has had the root LP solved; until then everything may move."""

    def __init__(self, model: MilpModel, core: Core) -> None:
        self._model, self._core = model, core
        self._everything, self._nothing = (
            np.ones(model.n, dtype=bool),
            np.zeros(model.n, dtype=bool),
        )
        self._pruning: ReducedCostFixing | None = None

    def learn(self, root: LpSolution) -> None:
        self._pruning = ReducedCostFixing(self._model, root)
        self._core.learn(root)

    def movable(self, x: Floats, cutoff: float) -> tuple[Bools, Bools]:
        if self._pruning is None:
            return self._everything, self._nothing
        return self._pruning.movable(x, cutoff)
