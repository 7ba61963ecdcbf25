"""Objective `run_time`: the program with the least CPU time on the given runs, by paired timing.

Times are CPU seconds of the whole program, all runs together, user and system. Programs are
compared by alternating pairs of runs (`solvers.llvm.pairs`). A candidate replaces the fastest
program only when the whole confidence interval of the ratio is below 1. The reported ratio
comes from fresh pairs against -O2 that were not used for selection.
See `deploy/docs/design/compile.md`, "Timing".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from search.domains.compile.answer import Quarantined
from search.domains.compile.search.candidates import candidate_space
from search.domains.compile.search.edits import Candidate
from search.domains.compile.search.incumbents import Accepted
from search.domains.compile.search.state import SearchState, Trials
from search.types import InvalidInput
from solvers.llvm.engine import Built, CandidateFailed
from solvers.llvm.options import KNOWN
from solvers.llvm.pairs import BASELINE, Timing, time_pairs
from solvers.llvm.pipeline import BadPipeline
from trimtab.specs.compile import Tier

# CPU seconds of the baseline's runs. Below, start-up and the clock's resolution dominate.
LEAST_S = 0.02
_FIRST_PAIRS, _PAIRS, _LAST_PAIRS = 3, 11, 15
_PROMISING = 0.995  # median ratio of the first pairs up to which more pairs are run
_OTHER_LEVELS = ("O3", "Os", "Oz", "O1")


@dataclass(frozen=True, kw_only=True)
class _Program:
    """Candidate that is built, linked and behaves the same."""

    candidate: Candidate
    built: Built
    path: Path


def search_run_time(state: SearchState) -> tuple[Timing | None, Trials]:
    """Try LLVM's levels, then random single changes of the fastest.

    The fastest program becomes the incumbent. The timing is None when that is the baseline itself.
    Raises InvalidInput when nothing can be timed.
    """
    if not state.oracle.cases:
        raise InvalidInput(
            "objective run_time: expected a program that can be run and repeats itself: "
            f"{state.oracle.why_unvalidated}. Give `runs`"
        )
    search = _RunTimeSearch(state)
    baseline, baseline_s = search.start()
    for candidate in search.candidates():
        search.race(candidate)
    timing = None
    if search.best is not baseline:
        timing = time_pairs(
            search.cpu_s(search.best), search.cpu_s(baseline), _LAST_PAIRS
        )
        baseline_s = timing.baseline_s
    if timing is not None and timing.faster:
        state.incumbents.best = _accepted(search.best, timing.ours_s)
    else:
        timing = None
        state.incumbents.best = _accepted(baseline, baseline_s)
    policy = "LLVM's levels, then single changes of the fastest, drawn at random"
    return timing, Trials(count=search.tried, policy=policy)


def reserve_s(run_s: float) -> float:
    """Wall-clock seconds for the last pairs and those of the check, of runs that take `run_s`."""
    return 2 * 2 * _LAST_PAIRS * run_s


class _RunTimeSearch:
    """Fastest program so far."""

    best: _Program

    def __init__(self, state: SearchState) -> None:
        self._state = state
        self.tried = 0
        self._seen: set[str] = set()  # Measured.program of those that were timed

    def start(self) -> tuple[_Program, float]:
        """Make the baseline the best and return it with its CPU seconds. Raises InvalidInput."""
        baseline = self._program(Candidate(name=BASELINE, base=BASELINE))
        if baseline is None:
            raise InvalidInput(
                f"objective run_time: -{BASELINE} itself does not compile, or its program behaves "
                "differently"
            )
        seconds = self._state.oracle.cpu_s(baseline.path)
        if seconds < LEAST_S:
            raise InvalidInput(
                f"objective run_time: expected runs that take at least {1000 * LEAST_S:.0f} ms of "
                f"CPU time with -{BASELINE}, got {1000 * seconds:.1f} ms: shorter ones cannot be "
                "compared. Give longer `runs`"
            )
        self.tried += 1
        self._accept(baseline, seconds)
        return baseline, seconds

    def candidates(self) -> Iterator[Candidate]:
        """Yield LLVM's other levels, then random changes of the best, until the search is over."""
        state = self._state
        levels = [Candidate(name=level, base=level) for level in _OTHER_LEVELS]
        changes = _changes(state)
        while not state.over():
            if levels:
                yield levels.pop(0)
            else:
                change = changes[int(state.rng.integers(len(changes)))]
                best = self.best.candidate
                yield replace(best.joined(change), base=best.base)

    def race(self, candidate: Candidate) -> None:
        """Time a candidate against the best, which it replaces when it is faster."""
        program = self._program(candidate)
        self.tried += 1
        self._state.spend(1)
        if program is None or program.built.measured.program in self._seen:
            return
        self._seen.add(program.built.measured.program)
        ours, best = self.cpu_s(program), self.cpu_s(self.best)
        first = time_pairs(ours, best, _FIRST_PAIRS)
        if first.ratio > _PROMISING or self._state.over():
            return
        timing = time_pairs(ours, best, _PAIRS)
        if timing.faster:
            self._accept(program, timing.ours_s)

    def cpu_s(self, program: _Program) -> Callable[[], float]:
        """Return a function that runs a program once and returns its CPU seconds."""
        return lambda: self._state.oracle.cpu_s(program.path)

    def _accept(self, program: _Program, seconds: float) -> None:
        self.best = program
        self._seen.add(program.built.measured.program)
        self._state.incumbents.report(_accepted(program, seconds))

    def _program(self, candidate: Candidate) -> _Program | None:
        """Build, link and compare a candidate; None when it fails or behaves differently."""
        state = self._state
        try:
            recipe = candidate.recipe(state.prepared.pipelines)
            built = state.prepared.engine.build(recipe)
        except (BadPipeline, CandidateFailed):
            return None
        verdict = state.oracle.compare(built.object)
        if verdict.equal:
            path = state.oracle.link(built.object)
            return _Program(candidate=candidate, built=built, path=path)
        if not verdict.stopped:
            state.incumbents.quarantined.append(
                Quarantined(
                    build_id=state.prepared.installed.build_id,
                    name=candidate.name,
                    recipe=recipe,
                    objective=0.0,
                    why=verdict.detail,
                )
            )
        return None


def _changes(state: SearchState) -> list[Candidate]:
    """Single changes of a pipeline that the spec allows."""
    options: frozenset[str] = KNOWN if state.problem.spec.llvm_options else frozenset()
    space = candidate_space(state.prepared.pipelines, options=options)
    return [
        change
        for change in space
        if change.edits
        and change.base == "Oz"
        and (state.experimental or change.tier is Tier.DEFAULT)
    ]


def _accepted(program: _Program, seconds: float) -> Accepted:
    return Accepted(name=program.candidate.name, value=seconds, built=program.built)
