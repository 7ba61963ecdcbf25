"""How the unoptimised program behaves, and whether another one behaves the same: asked within the search for each new best."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from search.domains.compile.parse.problem import CompileProblem
from search.types import InvalidInput
from solvers.llvm.execute import Ran, RunCase, compare, link_program, run_program
from solvers.llvm.frontend import SourceError, Stopped

OWN_MAIN_S = 10.0  # a program nobody said how to run gets so long to end by itself
MEMORY_BYTES = 2 * 2**30
_SHOWN_OUTPUT = 1500  # characters of a stream in a message
NOT_RUN = "it was not to be run, or is for another machine"
PATIENCE = 3  # times a run's time limit that a candidate gets when it is tried again
_EXCERPT_BYTES = 200


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What running said of one object."""

    equal: bool  # on every counted case; True also when there was none
    compared: int  # cases
    detail: str = ""  # what differs
    stopped: bool = False  # the runs did not end: nothing is known


@dataclass(frozen=True, kw_only=True)
class _Case:
    number: int
    case: RunCase
    timeout_s: float
    reference: Ran
    program_s: float


class Judge:
    """Made from the object of the unoptimised program; `ask` compares another with it."""

    def __init__(
        self, problem: CompileProblem, *, folder: Path, stopped: Callable[[], bool]
    ) -> None:
        self._problem, self._folder, self._stopped = problem, folder, stopped
        self._cases: list[_Case] = []
        self._count = 0
        self.why_unvalidated = ""
        self.exceeded = ""  # the last run of a candidate that a limit ended, though the unoptimised program stayed below it
        self.notes: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def cases(self) -> tuple[tuple[RunCase, float], ...]:
        """(case, timeout in seconds) of what can be compared."""
        return tuple((known.case, known.timeout_s) for known in self._cases)

    @property
    def seconds(self) -> float:
        """What one program takes on all cases."""
        return sum(known.program_s for known in self._cases)

    def learn(self, plain: bytes, *, has_main: bool) -> None:
        """Run the unoptimised program twice on each case. Raises InvalidInput when a run that was asked for cannot be."""
        asked = bool(self._problem.cases)
        if not self._problem.may_run:
            self.why_unvalidated = NOT_RUN
            return
        if not has_main and not self._problem.objects:
            if asked:
                raise InvalidInput(
                    "runs: the program has no `main`; give one as link.objects, drop `runs`, or name its source in build.files"
                )
            self.why_unvalidated = "it has no `main`"
            return
        try:
            program = self.link(plain)
        except SourceError as error:
            if asked:
                raise InvalidInput(
                    f"runs: the unoptimised program cannot be linked: {error}"
                ) from error
            self.why_unvalidated = (
                f"it cannot be linked as it is: {str(error).strip()[:500]}"
            )
            return
        except Stopped:
            self.why_unvalidated = (
                "it was stopped before the unoptimised program was linked"
            )
            return
        if asked:
            for number, (case, timeout_s) in enumerate(
                zip(self._problem.cases, self._problem.case_timeouts_s, strict=True)
            ):
                self._learn_case(program, number, case, timeout_s, asked=True)
        else:
            self._learn_case(program, 0, RunCase(), OWN_MAIN_S, asked=False)
        if not self._cases and not self.why_unvalidated and self._stopped():
            self.why_unvalidated = "it was stopped before the unoptimised program had run"
        if not self._cases and not self.why_unvalidated:
            self.why_unvalidated = "no run of the unoptimised program repeats itself"

    def ask(self, code: bytes) -> Verdict:
        """Link and run `code` on every case. A program that does not link differs."""
        if not self._cases:
            return Verdict(equal=True, compared=0)
        try:
            program = self.link(code)
        except SourceError as error:
            return Verdict(
                equal=False, compared=0, detail=f"does not link: {str(error).strip()[:500]}"
            )
        except Stopped:
            return Verdict(equal=False, compared=0, stopped=True)
        for known in self._cases:
            ran = self.run(program, known.case, known.timeout_s)
            if ran.limit == "seconds" and not self._stopped():
                # A busy machine may be the reason: a run that only needs longer is no other behaviour.
                ran = self.run(program, known.case, PATIENCE * known.timeout_s)
            told = compare(known.reference, ran)
            if self._stopped():
                return Verdict(equal=False, compared=0, stopped=True)
            if ran.limit:
                self.exceeded = exceeded(known.number, ran, known.timeout_s)
                return Verdict(equal=False, compared=len(self._cases), detail=self.exceeded)
            if told is not None:
                return Verdict(
                    equal=False,
                    compared=len(self._cases),
                    detail=f"run {known.number}: {told}",
                )
        return Verdict(equal=True, compared=len(self._cases))

    def give_up(self, why: str) -> None:
        """Compare nothing any more."""
        self._cases.clear()
        self.why_unvalidated = why

    def link(self, code: bytes) -> Path:
        """The program of an object file. Raises SourceError, Stopped."""
        self._count += 1
        folder = self._folder / f"program-{self._count}"
        folder.mkdir()
        problem = self._problem
        return link_program(
            [code, *problem.objects],
            workdir=folder,
            target=problem.target,
            flags=problem.libraries,
            cxx=problem.cxx,
            stopped=self._stopped,
        )

    def run(self, program: Path, case: RunCase, timeout_s: float) -> Ran:
        """One run under limits."""
        folder = program.parent
        return run_program(
            program,
            case,
            timeout_s=timeout_s,
            memory_bytes=MEMORY_BYTES,
            workdir=folder,
            stopped=self._stopped,
        )

    def _learn_case(
        self, program: Path, number: int, case: RunCase, timeout_s: float, *, asked: bool
    ) -> None:
        first = self.run(program, case, timeout_s)
        if self._stopped():
            return
        fault = _fault(first, case, timeout_s)
        if fault is not None:
            if asked:
                raise InvalidInput(f"runs: run {number}: the unoptimised program {fault}")
            self.why_unvalidated = f"its own `main`, run without arguments, {fault}"
            return
        again = self.run(program, case, timeout_s)
        if again.limit == "seconds" and not self._stopped():
            again = self.run(
                program, case, PATIENCE * timeout_s
            )  # it ended once: the machine is busy
        differs = compare(first, again)
        if differs is not None:
            self.notes.append(
                f"run {number} is not counted: the unoptimised program does not repeat itself ({differs})"
            )
            return
        if first.exit_code and not asked:
            self.notes.append(
                f"its own `main`, run without arguments, ends with {first.exit_code}: give `runs` that do more"
            )
        self._cases.append(
            _Case(
                number=number,
                case=case,
                timeout_s=timeout_s,
                reference=first,
                program_s=first.seconds,
            )
        )


def exceeded(number: int, ran: Ran, timeout_s: float) -> str:
    """What a limit that ended a candidate's run means, for people."""
    if ran.limit == "seconds":
        return (
            f"run {number} exceeded its time limit of {timeout_s:g} s, and {PATIENCE} times that when it was tried again; "
            "the unoptimised program ended in time"
        )
    return f"run {number} reached its limit of {ran.limit}; the unoptimised program did not"


def _fault(ran: Ran, case: RunCase, timeout_s: float) -> str | None:
    """Why a reference run cannot be one; a dead or endless program proves nothing about another."""
    if ran.limit:
        why = (
            f"did not end within {timeout_s:g} s"
            if ran.limit == "seconds"
            else f"reached its limit of {ran.limit}"
        )
    elif ran.signal is not None:
        why = f"died by signal {ran.signal}"
    elif case.expected_exit is not None and ran.exit_code != case.expected_exit:
        why = f"ended with {ran.exit_code}; {case.expected_exit} was expected"
    elif case.expected_stdout is not None and not _printed(ran, case.expected_stdout):
        return (
            f"printed {_excerpt(ran.stdout)} ({ran.stdout_bytes:,} bytes); expected_stdout: expected "
            f"{_excerpt(case.expected_stdout)} ({len(case.expected_stdout):,} bytes)"
        )
    else:
        return None
    return why + printed(ran)


def printed(ran: Ran) -> str:
    """What a run printed, the last of it, as lines to follow a sentence; empty when it printed nothing."""
    parts = []
    for name, data in (("stdout", ran.stdout), ("stderr", ran.stderr)):
        text = data.decode("utf-8", "replace").strip()
        if text:
            short = text if len(text) <= _SHOWN_OUTPUT else f"[…] {text[-_SHOWN_OUTPUT:]}"
            parts.append(f"\nits {name}:\n{short}")
    return "".join(parts)


def _printed(ran: Ran, expected: bytes) -> bool:
    return ran.stdout_sha256 == hashlib.sha256(expected).hexdigest()


def _excerpt(text: bytes) -> str:
    shown = text[:_EXCERPT_BYTES].decode("utf-8", "replace")
    return repr(shown) + (" …" if len(text) > _EXCERPT_BYTES else "")
