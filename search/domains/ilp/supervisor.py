"""Runs the two processes of a run side by side and tells what they find. It runs no solver itself, so it always answers:
`stop` is heard within a poll, whatever the solvers do, and a solver that crashes takes only its own process with it.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable

import numpy as np

from search.domains.ilp.board import Place, Places
from search.domains.ilp.checker import Checker
from search.domains.ilp.core_sharing import BEFORE_FIRST, CoreSharing
from search.domains.ilp.outcome import PROOF_GAP, State, closed, outcome_of, point_of
from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.processes import (
    construct_at_once,
    jump_pays,
    lns_applies,
    run_engine,
    run_jump,
    run_lns,
)
from search.isolation import Message, NativeCrash, NativeError, NativeProcess
from search.lns.root_lp import SharedRootLp, solve_root
from search.lns.sub_mip import Slicer
from search.stop import AnyOf, StoppingCriterion
from search.types import SearchOutcome
from solvers.types import Floats, MilpModel
from trimtab.results import Incumbent

OnPoint = Callable[
    [Incumbent, Floats | None], None
]  # (point, (n,) its solution, minimised model's columns)

_POLL_S = 0.02
_EARLY_S, _EARLY_POLL_S = 2.0, 0.004  # the first solutions weigh most
_CROWDED_POLL_S = (
    0.05  # new solutions wake the supervisor; looking takes processor time from the engine
)
_VERIFY_SHARE = 0.02  # of the budget, kept for checking and writing the answer
_LEAST_ROOT_S, _ROOT_SHARE = 5.0, 0.2
_JUMP_S = 4.0
_NICE_ROOT = 3  # steps below the two that search


def supervise(
    problem: IlpProblem,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnPoint,
) -> SearchOutcome:
    """Search until a proof, a limit, or the owner's word. Raises InvalidInput when the exact reading refuses the file."""
    model, spec = problem.model, problem.spec
    budget_s = stop.remaining_s()
    reserve_s = min(2.0, _VERIFY_SHARE * budget_s) if math.isfinite(budget_s) else 0.0
    deadline = time.monotonic() + max(0.05, budget_s - reserve_s)
    state = State()
    engine_place, lns_place, jump_place, root_place = (
        *(Place(model.n) for _ in range(3)),
        SharedRootLp(model),
    )
    why_not = lns_applies(model, spec.lns)
    sharing = CoreSharing(
        threads=spec.threads,
        checker=problem.checker,
        budget_s=budget_s,
        home=jump_pays(model),
    )
    processes: dict[str, NativeProcess] = {}
    try:
        processes["engine"] = NativeProcess(
            spec.engine.value,
            run_engine(
                model,
                engine=spec.engine.value,
                mine=engine_place,
                theirs=None if why_not else lns_place,
                seconds=deadline - time.monotonic(),
                threads=max(1, spec.threads - 1) if why_not is None else spec.threads,
                seed=_job_seed(rng),
                gap=PROOF_GAP,
                warm_start=problem.warm_start,
            ),
        )
        if why_not is None:
            slicer = Slicer(model)
            constructed = (
                None if problem.warm_start is not None else construct_at_once(model, slicer)
            )
            if constructed is not None:
                lns_place.put(model.objective(constructed), constructed)
                if _look(state, lns_place, "start:construction"):
                    on_incumbent(point_of(model, state), state.x)
            processes["lns"] = NativeProcess(
                "large neighbourhood search",
                run_lns(
                    model,
                    options=spec.lns,
                    mine=lns_place,
                    theirs=Places(engine_place, jump_place),
                    deadline=deadline,
                    seed=int(rng.integers(2**31 - 2)),
                    slicer=slicer,
                    root=root_place,
                    warm_start=problem.warm_start,
                    constructed=constructed,
                ),
            )
            # Where there is room: three busy processes on two cores for a second or two, the jump, then the root LP.
            if problem.warm_start is None and jump_pays(model):
                processes["jump"] = NativeProcess(
                    "the feasibility jump",
                    run_jump(
                        model,
                        mine=jump_place,
                        seconds=_jump_wall_s(sharing),
                        seed=_job_seed(rng),
                    ),
                )
            else:
                processes["root"] = _root(model, root_place, deadline)
        else:
            state.notes.append(f"large neighbourhood search stays out: {why_not}")
        _watch(
            model,
            state,
            processes,
            engine_place,
            lns_place,
            jump_place,
            root_place,
            stop,
            deadline,
            on_incumbent,
            spec.engine.value,
            problem.checker,
            sharing,
        )
    finally:
        for process in processes.values():
            process.close()
    return outcome_of(model, state, stop, spec.engine.value, why_not is None)


def _job_seed(rng: np.random.Generator) -> int:
    """The seed `rng` was made from. The engine gets it, so that with 0, everybody's default, it starts as it does alone.

    Its first solutions vary more with the seed than with anything we do beside it.
    """
    sequence = rng.bit_generator.seed_seq
    entropy = getattr(sequence, "entropy", None)
    return entropy if isinstance(entropy, int) else int(rng.integers(2**31 - 1))


def _jump_wall_s(sharing: CoreSharing) -> float:
    """The jump's limit is processor time; where helpers wait for the engine, wall clock must not end it first."""
    return _JUMP_S / BEFORE_FIRST if sharing.crowded else _JUMP_S


def _root(model: MilpModel, place: SharedRootLp, deadline: float) -> NativeProcess:
    work = solve_root(model, place, seconds=_root_s(deadline - time.monotonic()))
    return NativeProcess("the root LP", work, nice=_NICE_ROOT)


def _root_s(left_s: float) -> float:
    """Seconds the root LP may take beside the search."""
    return min(max(_LEAST_ROOT_S, _ROOT_SHARE * left_s), left_s)


def _watch(
    model: MilpModel,
    state: State,
    processes: dict[str, NativeProcess],
    engine_place: Place,
    lns_place: Place,
    jump_place: Place,
    root_place: SharedRootLp,
    stop: StoppingCriterion,
    deadline: float,
    on_incumbent: OnPoint,
    engine: str,
    checker: Checker,
    sharing: CoreSharing,
) -> None:
    point: Incumbent | None = None
    began = time.monotonic()
    while True:
        alive = {name: process.alive for name, process in processes.items()}
        for name, process in processes.items():
            for message in process.messages():
                _hear(state, name, message, stop)
        # The search's place first: what the engine has from there must not be credited to the engine.
        changed = _look(state, lns_place, state.lns_source)
        changed = _look(state, engine_place, engine) or changed
        changed = _look(state, jump_place, "start:feasibility-jump") or changed
        if "jump" in processes:
            # What it finds before the jump is trivial: never better than a construction, which the search begins with.
            over = (
                jump_place.objective < lns_place.objective < math.inf
                or processes["jump"].cpu_s > _JUMP_S
            )
            if over or not alive["jump"]:
                jump = processes.pop("jump")
                if not alive["jump"]:
                    _note_death(state, jump)
                jump.close()
                processes["root"] = _root(model, root_place, deadline)
                sharing.admit(processes["root"])
        sharing.tick(
            processes,
            objective=state.objective,
            bound=state.bound,
            helpers_lead=state.source != engine,
        )
        bound = max(engine_place.bound, root_place.bound)
        if bound > state.bound:
            state.bound, changed = bound, True
            state.bound_by = (
                engine if engine_place.bound >= bound else "the root LP's bound"
            )
        if changed:
            point = point_of(model, state)
            on_incumbent(point, state.x)
        fault = checker.fault()
        if fault is not None:
            raise fault
        if stop(point):
            return
        if closed(state) or (
            state.engine_end is not None and state.engine_end["reason"] in _PROOFS
        ):
            return
        if not alive["engine"] and state.engine_end is None:
            _note_death(state, processes["engine"])
            state.engine_end = {"reason": "crashed"}
        if not alive.get("lns", True) and not state.lns_ended:
            state.lns_ended = True
            _note_death(state, processes["lns"])
        if not alive.get("root", True):
            root_place.give_up()  # it may have crashed
        if not (alive["engine"] or alive.get("lns", False)):
            return
        if time.monotonic() >= deadline:
            # Time for the check is kept back; the criterion itself will say TIME a moment later.
            return
        poll_s = _POLL_S if time.monotonic() - began > _EARLY_S else _EARLY_POLL_S
        poll_s = _CROWDED_POLL_S if sharing.crowded else poll_s
        select.select(
            [p for name, p in processes.items() if alive.get(name, True)], [], [], poll_s
        )


_PROOFS = ("optimal", "infeasible", "unbounded", "infeasible_or_unbounded")


def _hear(state: State, name: str, message: Message, stop: StoppingCriterion) -> None:
    if "news" in message:
        return
    if name == "engine":
        state.engine_end = message
    elif "source" in message:
        state.lns_source = str(message["source"])
    elif "iteration" in message:
        state.iterations += 1
        if isinstance(stop, AnyOf):
            stop.spend(1)
    elif "arms" in message:
        state.arms = message
    elif "note" in message:
        state.notes.append(str(message["note"]))
    elif "started_from" in message:
        state.started_from, state.started_by = (
            float(message["started_from"]),
            str(message["start"]),
        )


def _look(state: State, place: Place, source: str) -> bool:
    better = place.better_than(state.objective)
    if better is None:
        return False
    state.objective, state.x = better
    state.source = source
    return True


def _note_death(state: State, process: NativeProcess) -> None:
    try:
        process.raise_for_end()
    except NativeCrash as error:
        state.notes.append(f"{error}; the run went on without it")
    except NativeError as error:
        state.notes.append(f"{error}"[:1000])
