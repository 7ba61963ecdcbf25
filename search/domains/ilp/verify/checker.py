"""Checker: the parent's side of the check process.

Reading exactly takes as long as HiGHS' reading, and a `stop` must not wait for it: so it begins
first, on a core that is still idle. The two readings are also compared (solvers.compare):
a file that two independent readers understand differently is refused as soon as that is known,
since no result on it could be trusted.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from search.domains.ilp.tagged import pack
from search.domains.ilp.verify import process as check_process
from search.domains.ilp.verify.messages import (
    ANSWERS,
    Answer,
    Check,
    Checked,
    Command,
    Compare,
    Compared,
    ProofEnded,
    Prove,
    Refused,
)
from search.isolation import Message, NativeError, NativeProcess, NativeTimeout
from search.types import Announce, InvalidInput
from solvers.exact.prove import Claim
from solvers.types import FEASIBILITY_TOLERANCE, MilpModel
from trimtab.results import Verification

_POLL_S = 0.05
_NICE = 5  # its reading is needed at the end; the first solutions are needed now
_PROOF_GRACE_S = 20.0  # the reading may not have ended yet
_QUIET_S = 1.0  # a longer wait is announced


@dataclass(frozen=True, kw_only=True)
class Proved:
    """Result of the exact branch and bound; `bound` is in the user's sense."""

    claim: Claim
    bound: float | None = None
    nodes: int = 0


class Checker:
    """One original file and the process that reads it exactly.

    `start`, then `compare` once HiGHS has read, then `check` and `prove`; after `close` these start
    the process again from the file.
    """

    def __init__(
        self,
        file: Path,
        *,
        file_format: str,
        name: str,
        workdir: Path,
        tolerance: float = FEASIBILITY_TOLERANCE,
    ) -> None:
        self._file, self._format, self._name = file, file_format, name
        self._tolerance = tolerance
        self._workdir = workdir
        self._searched: MilpModel | None = None
        self._process: NativeProcess | None = None
        self._commands = -1  # write end of the pipe to the process
        self._refusal: str | None = None
        self._compared = False
        self._answer: Answer | None = None
        self._last_question: tuple[dict[str, float], float | None] | None = None
        self._last_verification: Verification | None = None
        self._finalizer: weakref.finalize[..., Checker] | None = None
        self._announce: Announce = lambda text: None

    def announce_to(self, announce: Announce) -> None:
        """Report waits of more than a second to `announce`, each once."""
        self._announce = announce

    def start(self) -> None:
        """Start the process, which begins to read."""
        commands, self._commands = os.pipe()
        self._process = NativeProcess(
            "the exact check",
            lambda say: check_process.serve(
                self._file,
                file_format=self._format,
                name=self._name,
                searched=self._searched,
                tolerance=self._tolerance,
                commands=commands,
                say=say,
            ),
            nice=_NICE,
        )
        os.close(commands)
        self._finalizer = weakref.finalize(
            self, _close, self._process, self._commands, os.getpid()
        )

    def compare(self, model: MilpModel, saved: Path, scalars: Message) -> None:
        """Hand over HiGHS' reading, a model file at `saved`, which the process deletes."""
        self._searched = model
        self._send(Compare(path=str(saved), scalars=scalars))

    @property
    def cpu_s(self) -> float:
        """Processor seconds of the process so far; 0 while there is none."""
        return 0.0 if self._process is None else self._process.cpu_s

    @property
    def reading(self) -> bool:
        """True while the process has not compared its reading yet."""
        return self._process is not None and not self._compared and self._process.alive

    def pause(self) -> None:
        """Take the process off the processor. Waiting for an answer resumes it."""
        if self._process is not None:
            self._process.pause()

    def resume(self) -> None:
        """Let the process continue."""
        if self._process is not None:
            self._process.resume()

    def refusal(self) -> InvalidInput | None:
        """Return why the file is refused, if that is known by now. Never waits."""
        if self._process is not None:
            self._receive(self._process)
        return None if self._refusal is None else InvalidInput(self._refusal)

    def await_comparison(self, timeout_s: float) -> InvalidInput | None:
        """Return why the file is refused, after waiting for the comparison.

        A claim without a solution has no other check.
        """
        until = time.monotonic() + timeout_s
        self.resume()
        wait = self._announced_wait("")
        while (
            not self._compared and self._process is not None and time.monotonic() < until
        ):
            next(wait)
            refusal = self.refusal()
            if refusal is not None or not self._process.alive:
                return refusal or self.refusal()
            select.select([self._process], [], [], _POLL_S)
        return self.refusal()

    def check(
        self, values: Mapping[str, float], *, claimed: float | None
    ) -> Verification:
        """Check `values` (column name → value, absent ones 0). The last answer is cached.

        Raises InvalidInput when the file is refused, MemoryError, or NativeCrash.
        """
        question = (dict(values), claimed)
        if self._last_verification is not None and self._last_question == question:
            return self._last_verification
        with self._file_of(values) as path:
            self._ask(Check(path=str(path), claimed=claimed))
            answer = self._wait(math.inf, "the exact check of the solution")
        if not isinstance(answer, Checked):
            raise TypeError(f"answer: expected Checked, got {answer!r}")
        verification = Verification.model_validate_json(answer.verification)
        self._last_question, self._last_verification = question, verification
        return verification

    def prove(
        self,
        values: Mapping[str, float] | None,
        *,
        seconds: float,
        stopped: Callable[[], bool],
    ) -> tuple[Proved, dict[str, float] | None]:
        """Settle in rational arithmetic whether anything is better than `values`.

        Without `values`: whether there is a solution. Returns the result and, if one was met, the
        nearest doubles of a point that beats `values`. Undecided when the model is too large, when
        the seconds are over and when `stopped()`. Raises as `check`.
        """
        with self._file_of(values or {}) as path:
            self._ask(
                Prove(path=str(path), has_incumbent=values is not None, seconds=seconds)
            )
            try:
                until = time.monotonic() + seconds + _PROOF_GRACE_S
                answer = self._wait(until, "a proof in rational arithmetic", stopped)
            except NativeTimeout:
                self.close()
                return Proved(claim=Claim.UNDECIDED), None
            if not isinstance(answer, ProofEnded):
                raise TypeError(f"answer: expected ProofEnded, got {answer!r}")
            point = json.loads(path.read_text()) if answer.has_point else None
        proved = Proved(claim=Claim(answer.claim), bound=answer.bound, nodes=answer.nodes)
        return proved, point

    def close(self) -> None:
        """End the process."""
        if self._finalizer is not None:
            self._finalizer()
        self._process, self._finalizer, self._commands = None, None, -1

    def _send(self, command: Command) -> None:
        # When the process has ended, its last message tells why.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._commands, json.dumps(pack(command)).encode() + b"\n")

    def _ask(self, command: Command) -> None:
        if self._process is None:
            self.start()
        self._answer = None
        self._send(command)

    @contextlib.contextmanager
    def _file_of(self, values: Mapping[str, float]) -> Iterator[Path]:
        path = self._workdir / "claimed.json"
        path.write_text(json.dumps(dict(values)))
        try:
            yield path
        finally:
            path.unlink()

    def _receive(self, process: NativeProcess) -> None:
        for data in process.messages():
            match ANSWERS.unpack(data):
                case Refused() as refused:
                    self._refusal = refused.reason
                case Compared():
                    self._compared = True
                case answer:
                    self._answer = answer

    def _announced_wait(self, work: str) -> Iterator[None]:
        """Announce the wait for `work`, or for the reading before it, once it has taken long."""
        due = time.monotonic() + _QUIET_S
        while time.monotonic() < due:
            yield
        if self._compared:
            self._announce(f"waiting for {work}")
        else:
            self._announce(
                "waiting for the exact reader, which reads the file a second time for the check"
            )
        while True:
            yield

    def _wait(
        self, until: float, work: str, stopped: Callable[[], bool] = lambda: False
    ) -> Answer:
        process = self._process
        if process is None:
            raise RuntimeError("check() and prove() start the process")
        process.resume()
        wait = self._announced_wait(work)
        while True:
            next(wait)
            alive = process.alive
            self._receive(process)
            if self._answer is not None:
                return self._answer
            if self._refusal is not None:
                raise InvalidInput(self._refusal)
            if not alive:
                break
            if time.monotonic() > until or stopped():
                raise NativeTimeout(f"{process.what} did not answer in time")
            select.select([process], [], [], _POLL_S)
        if process.error is not None and process.error.kind == "MemoryError":
            raise MemoryError(process.error.message)
        process.raise_for_end()
        raise NativeError(process.what, "Exit", "ended without an answer", "")


def _close(process: NativeProcess, commands: int, parent: int) -> None:
    if os.getpid() != parent:
        return  # a fork has a copy of the object, but the process belongs to its parent
    process.close()
    os.close(commands)
