"""Behaviour oracle of the search: compare runs with those of the unoptimised program.

See `deploy/docs/design/compile.md`, "Behaviour oracle".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.domains.compile.builds import link_for_runs, link_objects
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.run_limits import MEMORY_BYTES, RETRY_FACTOR, limit_message
from search.types import InvalidInput
from solvers.llvm.execute import Ran, RunCase, compare, run_program
from solvers.llvm.frontend import SourceError, Stopped

OWN_MAIN_S = 10.0  # time limit of a program that is run without `runs` in the spec
NOT_RUN = "it was not to be run, or is for another machine"
_SHOWN_OUTPUT_CHARS = 1500  # of a stream in a message
_SHOWN_EXPECTED_BYTES = 200
_ERROR_CHARS = 500


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Outcome of comparing one object with the reference."""

    equal: bool  # on every counted case; True also when there was none
    compared: int  # cases
    detail: str = ""  # observed difference
    stopped: bool = False  # the job's time ended first: nothing was observed


@dataclass(frozen=True, kw_only=True)
class _Case:
    number: int
    case: RunCase
    timeout_s: float
    reference: Ran


class BehaviourOracle:
    """Runs the unoptimised program once, then compares other programs with it.

    Call `record_reference` first. Without a usable case `compare` accepts everything, and
    `why_unvalidated` says why.
    """

    def __init__(
        self, problem: CompileProblem, *, folder: Path, stopped: Callable[[], bool]
    ) -> None:
        self._problem, self._folder, self._stopped = problem, folder, stopped
        self._cases: list[_Case] = []
        self._programs = 0
        self.why_unvalidated = ""
        self.limit_exceeded = ""  # last run of a candidate that a limit stopped
        self.notes: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def cases(self) -> tuple[tuple[RunCase, float], ...]:
        """Cases that count, each with its timeout in seconds."""
        return tuple((row.case, row.timeout_s) for row in self._cases)

    @property
    def run_s(self) -> float:
        """Wall-clock seconds that the reference took on all cases."""
        return sum(row.reference.seconds for row in self._cases)

    def record_reference(self, plain: bytes | Sequence[Path], *, has_main: bool) -> None:
        """Run the unoptimised program twice on each case.

        Raises InvalidInput when a run that the spec requests cannot be made.
        """
        requested = bool(self._problem.cases)
        if not self._problem.may_run:
            self.why_unvalidated = NOT_RUN
            return
        if not has_main and not self._problem.objects:
            if requested:
                raise InvalidInput(
                    "runs: the program has no `main`; give one as link.objects, drop `runs`, or "
                    "name its source in build.files"
                )
            self.why_unvalidated = "it has no `main`"
            return
        program = self._link_reference(plain, requested=requested)
        if program is None:
            return
        if requested:
            timeouts_s = self._problem.case_timeouts_s
            pairs = zip(self._problem.cases, timeouts_s, strict=True)
            for number, (case, timeout_s) in enumerate(pairs):
                self._record_case(program, number, case, timeout_s, requested=True)
        else:
            self._record_case(program, 0, RunCase(), OWN_MAIN_S, requested=False)
        if not self._cases and not self.why_unvalidated:
            self.why_unvalidated = (
                "it was stopped before the unoptimised program had run"
                if self._stopped()
                else "no run of the unoptimised program repeats itself"
            )

    def compare(self, code: bytes) -> Verdict:
        """Link and run `code` on every case; a program that does not link differs."""
        if not self._cases:
            return Verdict(equal=True, compared=0)
        try:
            program = self.link(code)
        except SourceError as error:
            detail = f"does not link: {str(error).strip()[:_ERROR_CHARS]}"
            return Verdict(equal=False, compared=0, detail=detail)
        except Stopped:
            return Verdict(equal=False, compared=0, stopped=True)
        return self.compare_program(program)

    def compare_program(self, program: Path) -> Verdict:
        """Run a linked program on every case."""
        for row in self._cases:
            ran = self.run(program, row.case, row.timeout_s)
            if ran.limit == "seconds" and not self._stopped():
                # On a busy machine the same behaviour may only take longer.
                ran = self.run(program, row.case, RETRY_FACTOR * row.timeout_s)
            difference = compare(row.reference, ran)
            if self._stopped():
                return Verdict(equal=False, compared=0, stopped=True)
            if ran.limit:
                self.limit_exceeded = limit_message(row.number, ran, row.timeout_s)
                return self._differs(self.limit_exceeded)
            if difference is not None:
                return self._differs(f"run {row.number}: {difference}")
        return Verdict(equal=True, compared=len(self._cases))

    def disable(self, why: str) -> None:
        """Forget all cases, so that the answer is labelled unvalidated for the reason `why`."""
        self._cases.clear()
        self.why_unvalidated = why

    def link(self, code: bytes | Sequence[Path]) -> Path:
        """Link an object file, or the objects of an image, to a program.

        Raises SourceError, Stopped.
        """
        self._programs += 1
        folder = self._folder / f"program-{self._programs}"
        folder.mkdir()
        if self._problem.image is not None:
            return self._link_image(code, folder)
        assert isinstance(code, bytes)
        return link_for_runs(self._problem, code, folder, stopped=self._stopped)

    def _link_image(self, code: bytes | Sequence[Path], folder: Path) -> Path:
        """Link as the answer is linked. Raises SourceError, Stopped."""
        assert self._problem.image is not None
        objects = code
        if isinstance(objects, bytes):
            (folder / "program.o").write_bytes(objects)
            objects = [folder / "program.o"]
        program, message = link_objects(
            self._problem.image, objects, folder, stopped=self._stopped
        )
        if message:
            raise SourceError("the program does not fit", message)
        return program

    def run(self, program: Path, case: RunCase, timeout_s: float) -> Ran:
        """Run a program once under limits."""
        return run_program(
            program,
            case,
            timeout_s=timeout_s,
            memory_bytes=MEMORY_BYTES,
            # One folder for all programs: its path is the same for each of them.
            workdir=self._folder,
            runner=self._problem.runner,
            stopped=self._stopped,
        )

    def cpu_s(self, program: Path) -> float:
        """Run a program once on every case and return the CPU seconds of all."""
        return sum(
            self.run(program, row.case, row.timeout_s).cpu_s for row in self._cases
        )

    def _differs(self, detail: str) -> Verdict:
        return Verdict(equal=False, compared=len(self._cases), detail=detail)

    def _link_reference(
        self, plain: bytes | Sequence[Path], *, requested: bool
    ) -> Path | None:
        try:
            return self.link(plain)
        except SourceError as error:
            if requested:
                raise InvalidInput(
                    f"runs: the unoptimised program cannot be linked: {error}"
                ) from error
            reason = str(error).strip()[:_ERROR_CHARS]
            self.why_unvalidated = f"it cannot be linked as it is: {reason}"
        except Stopped:
            self.why_unvalidated = (
                "it was stopped before the unoptimised program was linked"
            )
        return None

    def _record_case(
        self,
        program: Path,
        number: int,
        case: RunCase,
        timeout_s: float,
        *,
        requested: bool,
    ) -> None:
        first = self.run(program, case, timeout_s)
        if self._stopped():
            return
        fault = _fault(first, case, timeout_s)
        if fault is not None:
            if requested:
                raise InvalidInput(f"runs: run {number}: the unoptimised program {fault}")
            self.why_unvalidated = f"its own `main`, run without arguments, {fault}"
            return
        again = self.run(program, case, timeout_s)
        if again.limit == "seconds" and not self._stopped():
            # The first run ended in time, so the machine is busy.
            again = self.run(program, case, RETRY_FACTOR * timeout_s)
        difference = compare(first, again)
        if difference is not None:
            self.notes.append(
                f"run {number} is not counted: the unoptimised program does not repeat itself "
                f"({difference})"
            )
            return
        if first.exit_code and not requested:
            self.notes.append(
                f"`main` without arguments exits with {first.exit_code}; give `runs` that exercise "
                "more code"
            )
        self._cases.append(
            _Case(number=number, case=case, timeout_s=timeout_s, reference=first)
        )


def _fault(ran: Ran, case: RunCase, timeout_s: float) -> str | None:
    """Say why a run cannot be a reference; None when it can.

    A program that crashes or does not end proves nothing about another.
    """
    if ran.limit == "seconds":
        fault = f"did not end within {timeout_s:g} s"
    elif ran.limit:
        fault = f"reached its limit of {ran.limit}"
    elif ran.signal is not None:
        fault = f"died by signal {ran.signal}"
    elif case.expected_exit is not None and ran.exit_code != case.expected_exit:
        fault = f"ended with {ran.exit_code}; {case.expected_exit} was expected"
    elif case.expected_stdout is not None and not _printed(ran, case.expected_stdout):
        return (
            f"printed {_excerpt(ran.stdout)} ({ran.stdout_bytes:,} bytes); expected_stdout: "
            f"expected {_excerpt(case.expected_stdout)} ({len(case.expected_stdout):,} bytes)"
        )
    else:
        return None
    return fault + _output_of(ran)


def _output_of(ran: Ran) -> str:
    """Lines that show the end of both streams; "" when the run printed nothing."""
    parts = []
    for name, data in (("stdout", ran.stdout), ("stderr", ran.stderr)):
        text = data.decode("utf-8", "replace").strip()
        if len(text) > _SHOWN_OUTPUT_CHARS:
            text = f"[…] {text[-_SHOWN_OUTPUT_CHARS:]}"
        if text:
            parts.append(f"\nits {name}:\n{text}")
    return "".join(parts)


def _printed(ran: Ran, expected: bytes) -> bool:
    return ran.stdout_sha256 == hashlib.sha256(expected).hexdigest()


def _excerpt(text: bytes) -> str:
    more = " …" if len(text) > _SHOWN_EXPECTED_BYTES else ""
    return repr(text[:_SHOWN_EXPECTED_BYTES].decode("utf-8", "replace")) + more
