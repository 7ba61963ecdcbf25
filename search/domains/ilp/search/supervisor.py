"""Supervise the engine, LNS, jump and root-LP processes of one run.

A run has up to five processes at once: this one, the exact check (search.domains.ilp.verify), the
engine, large neighbourhood search, and the feasibility jump, which the root LP follows. All are
forked from this one, which runs no solver itself: so `stop` takes effect within a poll whatever the
solvers do, and a solver that crashes takes only its own process with it.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable

import numpy as np

from search import engine_log
from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.search.core_sharing import BEFORE_FIRST, CoreSharing
from search.domains.ilp.search.engine_process import run_engine
from search.domains.ilp.search.jump_process import JUMP_S, jump_applies, run_jump
from search.domains.ilp.search.lns_process import (
    StartPoints,
    construct_at_once,
    lns_refusal,
    run_lns,
)
from search.domains.ilp.search.messages import (
    RUN_MESSAGES,
    EngineEnded,
    Iterated,
    NewIncumbent,
    Note,
    Role,
    RunMessage,
    SearchStarted,
    Statistics,
    Work,
)
from search.domains.ilp.search.outcome import CRASHED, outcome_of
from search.domains.ilp.search.slots import RunSlots
from search.domains.ilp.search.state import (
    ABSOLUTE_GAP,
    PROOF_GAP,
    RunState,
    bound_of_columns,
    cutoff_of,
)
from search.domains.ilp.tagged import pack
from search.isolation import NativeCrash, NativeError, NativeProcess
from search.lns.root_lp import solve_root
from search.lns.sub_mip import Slicer
from search.stop import StoppingCriterion
from search.types import SearchOutcome
from solvers.types import Floats, SolveParams
from trimtab.results import Incumbent, Limit, Reason

OnPoint = Callable[[Incumbent, Floats | None], None]
"""Takes a point and its solution (n,), columns of the minimised model."""

_POLL_S = 0.02
# The first solutions weigh most in the primal integral.
_EARLY_S, _EARLY_POLL_S = 2.0, 0.004
# New solutions wake the supervisor. Polling takes processor time from the engine.
_CROWDED_POLL_S = 0.05
# Of the budget, reserved for checking and writing the answer.
_VERIFY_SHARE, _MOST_VERIFY_S = 0.02, 2.0
_LEAST_SEARCH_S = 0.05
_LEAST_ROOT_S, _ROOT_SHARE = 5.0, 0.2
_NICE_ROOT = 3  # steps below the engine and the search
_MOST_NOTE = 1000  # characters
_PROOFS = {
    Reason.OPTIMAL.value,
    Reason.INFEASIBLE.value,
    Reason.UNBOUNDED.value,
    Reason.INFEASIBLE_OR_UNBOUNDED.value,
}
_NAMES = {
    Role.LNS: "large neighbourhood search",
    Role.JUMP: "the feasibility jump",
    Role.ROOT_LP: "the root LP",
}


def supervise(
    problem: IlpProblem,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_point: OnPoint,
) -> SearchOutcome:
    """Search until a proof or until `stop`, and report incumbents and bounds.

    Raises InvalidInput when the exact reader refuses the file.
    """
    run = Run(problem, stop, on_point)
    try:
        run.start(rng)
        run.watch()
    finally:
        run.close()
    return run.outcome()


class Run:
    """One run: its processes, the slots that they share, and its state."""

    def __init__(
        self, problem: IlpProblem, stop: StoppingCriterion, on_point: OnPoint
    ) -> None:
        self._problem, self._stop, self._on_point = problem, stop, on_point
        self._model, self._spec = problem.model, problem.spec
        budget_s = stop.remaining_s()
        reserve_s = (
            min(_MOST_VERIFY_S, _VERIFY_SHARE * budget_s)
            if math.isfinite(budget_s)
            else 0.0
        )
        self._deadline = time.monotonic() + max(_LEAST_SEARCH_S, budget_s - reserve_s)
        self._early_until = math.inf
        self._lns_refusal = lns_refusal(self._model, self._spec.lns)
        self._jump_applies = jump_applies(self._model)
        self._sharing = CoreSharing(
            threads=self._spec.threads,
            checker=problem.checker,
            budget_s=budget_s,
            covers=self._jump_applies,
        )
        self._engine = self._spec.engine.value
        self._point: Incumbent | None = None
        self.state = RunState(
            cutoff=cutoff_of(self._model, self._spec.cutoff),
            floor=bound_of_columns(self._model),
        )
        self.slots = RunSlots(self._model)
        self.processes: dict[Role, NativeProcess] = {}

    # -- start ---------------------------------------------------------------------------------

    def start(self, rng: np.random.Generator) -> None:
        """Start the engine and, where it applies, the neighbourhood search and its helpers."""
        self._start_engine(seed=job_seed(rng))
        if self._lns_refusal is not None:
            note = f"large neighbourhood search is off: {self._lns_refusal}"
            self.state.notes.append(note)
            return
        self._start_lns(seed=int(rng.integers(2**31 - 2)))
        # One after the other: three busy processes on two cores for a second or two are enough.
        if self._problem.warm_start is None and self._jump_applies:
            self._start_jump(seed=job_seed(rng))
        else:
            self._start_root_lp()

    def _start_engine(self, *, seed: int) -> None:
        alone = self._lns_refusal is not None
        threads = self._spec.threads
        work = run_engine(
            self._model,
            engine=self._engine,
            params=SolveParams(
                time_limit_s=max(0.01, self._deadline - time.monotonic()),
                threads=threads if alone else max(1, threads - 1),
                seed=seed % 2**31,
                relative_gap=PROOF_GAP,
                absolute_gap=ABSOLUTE_GAP,
                cutoff=self.state.cutoff if math.isfinite(self.state.cutoff) else None,
                node_limit=self._spec.node_limit,
                log=engine_log.is_on(),
            ),
            slot=self.slots.engine,
            others=None if alone else self.slots.lns,
            warm_start=self._problem.warm_start,
        )
        self._fork(Role.ENGINE, work)

    def _start_lns(self, *, seed: int) -> None:
        model, warm_start = self._model, self._problem.warm_start
        slicer = Slicer(model)
        constructed = None
        if warm_start is None:
            constructed = construct_at_once(model, slicer)
        if constructed is not None:
            self.slots.lns.put(model.objective(constructed), constructed)
            if self.state.read(self.slots.lns, "start:construction"):
                self._on_point(self.state.point(model), self.state.x)
        choice = self._problem.choice
        fitted = None if choice is None else choice.model
        work = run_lns(
            model,
            options=self._spec.lns,
            slots=self.slots,
            deadline=self._deadline,
            seed=seed,
            slicer=slicer,
            start=StartPoints(warm_start=warm_start, constructed=constructed),
            policy=None if fitted is None else fitted.arrays,
        )
        self._fork(Role.LNS, work)

    def _start_jump(self, *, seed: int) -> None:
        # The jump's own limit is processor time. Where helpers wait for the engine, the limit on
        # the wall clock must not end it first.
        seconds = JUMP_S / BEFORE_FIRST if self._sharing.crowded else JUMP_S
        work = run_jump(self._model, slot=self.slots.jump, seconds=seconds, seed=seed)
        self._fork(Role.JUMP, work)

    def _start_root_lp(self) -> None:
        left_s = self._deadline - time.monotonic()
        seconds = min(max(_LEAST_ROOT_S, _ROOT_SHARE * left_s), left_s)
        work = solve_root(self._model, self.slots.root_lp, seconds=seconds)
        self.processes[Role.ROOT_LP] = NativeProcess(
            _NAMES[Role.ROOT_LP], work, nice=_NICE_ROOT
        )

    def _fork(self, role: Role, work: Work) -> None:
        self.processes[role] = NativeProcess(
            _NAMES.get(role, self._engine),
            lambda say: work(lambda message: say(pack(message))),
        )

    # -- watch ---------------------------------------------------------------------------------

    def watch(self) -> None:
        """Report incumbents and bounds until the run is over."""
        self._early_until = time.monotonic() + _EARLY_S
        while True:
            alive = self._alive()
            self._receive()
            changed = self._read_incumbents()
            self._follow_jump(alive)
            self._share_cores()
            changed = self._read_bound() or changed
            if changed:
                self._point = self.state.point(self._model)
                self._on_point(self._point, self.state.x)
            refusal = self._problem.checker.refusal()
            if refusal is not None:
                raise refusal
            if self._stop(self._point) or self._settled():
                break
            self._note_ends(alive)
            if not alive & {Role.ENGINE, Role.LNS} or time.monotonic() >= self._deadline:
                break
            self._wait(alive)
        alive = self._alive()
        self._receive()
        self._note_ends(alive)  # one may have crashed since

    def _alive(self) -> set[Role]:
        return {role for role, process in self.processes.items() if process.alive}

    def _receive(self) -> None:
        """Take in the messages of all processes."""
        for role, process in self.processes.items():
            for data in process.messages():
                self._take_in(role, RUN_MESSAGES.unpack(data))

    def _take_in(self, role: Role, message: RunMessage) -> None:
        match message:
            case EngineEnded():
                self.state.engine_end = message
            case NewIncumbent() if role is Role.LNS:
                self.state.lns_source = message.source
            case Iterated():
                self.state.lns_iterations += 1
                self._stop.spend(1)
            case Statistics():
                self.state.lns_statistics = message
            case SearchStarted():
                self.state.lns_start = message
            case Note():
                self.state.notes.append(message.text)

    def _read_incumbents(self) -> bool:
        """Take over better solutions from the slots; return True if there were any."""
        state, slots = self.state, self.slots
        # The search's slot first: a solution that the engine has from there is not the engine's.
        by_lns = state.read(slots.lns, state.lns_source)
        by_engine = state.read(slots.engine, self._engine)
        by_jump = state.read(slots.jump, "start:feasibility-jump")
        return by_lns or by_engine or by_jump

    def _follow_jump(self, alive: set[Role]) -> None:
        """End the jump when it has ended or is of no more use, and start the root LP."""
        jump = self.processes.get(Role.JUMP)
        if jump is None:
            return
        # Solutions before its first jump are trivial, never better than the search's construction.
        better = self.slots.jump.objective < self.slots.lns.objective < math.inf
        if Role.JUMP in alive and not better and jump.cpu_s <= JUMP_S:
            return
        del self.processes[Role.JUMP]
        if Role.JUMP not in alive:
            self._note_death(jump)
        jump.close()
        self._start_root_lp()
        alive.add(Role.ROOT_LP)
        self._sharing.admit(self.processes[Role.ROOT_LP])

    def _share_cores(self) -> None:
        self._sharing.tick(
            self.processes,
            objective=self.state.objective,
            bound=self.state.bound,
            helpers_lead=self.state.source != self._engine,
        )

    def _read_bound(self) -> bool:
        """Take over a better bound of the engine or the root LP; return True if there was one."""
        engine_bound, root_bound = self.slots.engine.bound, self.slots.root_lp.bound
        bound = max(engine_bound, root_bound)
        if not bound > self.state.bound:
            return False
        self.state.bound = bound
        self.state.bound_by = (
            self._engine if engine_bound >= bound else "the root LP's bound"
        )
        return True

    def _settled(self) -> bool:
        end = self.state.engine_end
        if end is not None and end.limit == Limit.NODES.value:
            return True  # the user's limit: the search does not go on alone
        return self.state.closed() or (end is not None and end.reason in _PROOFS)

    def _note_ends(self, alive: set[Role]) -> None:
        """Note processes that ended by themselves."""
        state = self.state
        if Role.ENGINE not in alive and state.engine_end is None:
            self._note_death(self.processes[Role.ENGINE])
            state.engine_end = EngineEnded(reason=CRASHED)
        if Role.LNS in self.processes and Role.LNS not in alive and not state.lns_ended:
            state.lns_ended = True
            self._note_death(self.processes[Role.LNS])
        if Role.ROOT_LP in self.processes and Role.ROOT_LP not in alive:
            self.slots.root_lp.give_up()  # it may have crashed

    def _note_death(self, process: NativeProcess) -> None:
        try:
            process.raise_for_end()
        except NativeCrash as error:
            self.state.notes.append(f"{error}; the run continued without it")
        except NativeError as error:
            self.state.notes.append(f"{error}"[:_MOST_NOTE])

    def _wait(self, alive: set[Role]) -> None:
        """Sleep until a process has a message, at most a poll."""
        poll_s = _EARLY_POLL_S if time.monotonic() <= self._early_until else _POLL_S
        if self._sharing.crowded:
            poll_s = _CROWDED_POLL_S
        waited = [process for role, process in self.processes.items() if role in alive]
        select.select(waited, [], [], poll_s)

    # -- end -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Kill all processes."""
        for process in self.processes.values():
            process.close()

    def outcome(self) -> SearchOutcome:
        """Return what the state supports."""
        return outcome_of(
            self._model,
            self.state,
            self._stop,
            self._engine,
            with_lns=self._lns_refusal is None,
        )


def job_seed(rng: np.random.Generator) -> int:
    """Return the seed that `rng` was made from, or draw one where that is no single number.

    The engine gets it, so that with 0, the default, it starts as it does by itself: its first
    solutions vary more with the seed than with anything that runs beside it.
    """
    sequence = rng.bit_generator.seed_seq
    entropy = getattr(sequence, "entropy", None)
    return entropy if isinstance(entropy, int) else int(rng.integers(2**31 - 1))
