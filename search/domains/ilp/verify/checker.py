"""The process of the check. It reads the original file while HiGHS reads it too, and waits for solutions and claims.

Reading exactly takes as long as HiGHS' reading does, and a `stop` must not wait for it: so it begins first, on the
processor that nobody else uses yet. The reading is also held against HiGHS' (solvers.compare): a file that two
independent readers understand differently is refused as soon as that is known, as no result on it could be trusted.
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
from fractions import Fraction
from pathlib import Path

from search.domains.ilp import model_file
from search.domains.ilp.verify.verification import as_float, verify
from search.isolation import Message, NativeError, NativeProcess, NativeTimeout, Say
from search.types import InvalidInput
from solvers.compare import refuse_differences
from solvers.errors import ModelError
from solvers.exact import ExactModel, read_exact
from solvers.exact import check as check_exactly
from solvers.exact.prove import Claim, prove
from solvers.types import MilpModel
from trimtab.results import Verification

_POLL_S = 0.05
_NICE = 5  # its reading is wanted at the end; the first solutions are wanted now
_PROOF_GAP = Fraction(1, 10**7)  # relative; a tenth of the gap that "optimal" allows
_PROOF_GRACE_S = 20.0  # the reading may still be under way


@dataclass(frozen=True, kw_only=True)
class Proved:
    """What the exact branch and bound settled; `bound` is in the author's sense."""

    claim: Claim
    bound: float | None = None
    nodes: int = 0


class Checker:
    """One original file, and the process that knows it exactly.

    `start`, then `compare` once HiGHS has read, then `check` and `prove`; after `close` these start again from the file.
    """

    def __init__(self, file: Path, *, file_format: str, name: str, workdir: Path) -> None:
        self._file, self._format, self._name, self._workdir = (
            file,
            file_format,
            name,
            workdir,
        )
        self._searched: MilpModel | None = None
        self._process: NativeProcess | None = None
        self._commands = -1  # the write end of a pipe to the process
        self._refusal: str | None = None
        self._compared = False
        self._answer: Message | None = None
        self._checked: tuple[tuple[dict[str, float], float | None], Verification] | None = (
            None
        )
        self._finalizer: weakref.finalize[..., Checker] | None = None

    def start(self) -> None:
        """Begin to read."""
        commands, self._commands = os.pipe()
        self._process = NativeProcess(
            "the exact check", lambda say: self._serve(commands, say), nice=_NICE
        )
        os.close(commands)
        self._finalizer = weakref.finalize(
            self, _close, self._process, self._commands, os.getpid()
        )

    def compare(self, model: MilpModel, saved: Path, told: Message) -> None:
        """Give HiGHS' reading, kept in `saved` too: the process takes it from there and deletes it."""
        self._searched = model
        self._send({"compare": str(saved), "told": told})

    @property
    def cpu_s(self) -> float:
        """Processor seconds of the process so far; 0 while there is none."""
        return 0.0 if self._process is None else self._process.cpu_s

    @property
    def reading(self) -> bool:
        """True while the process is there and has not compared its reading yet."""
        return self._process is not None and not self._compared and self._process.alive

    def pause(self) -> None:
        """Take the process off the processor. Whoever waits for it resumes it."""
        if self._process is not None:
            self._process.pause()

    def resume(self) -> None:
        """Let the process run on."""
        if self._process is not None:
            self._process.resume()

    def fault(self) -> InvalidInput | None:
        """Why the file is refused, as far as is known now; never waits."""
        if self._process is not None:
            self._hear(self._process)
        return None if self._refusal is None else InvalidInput(self._refusal)

    def settle(self, timeout_s: float) -> InvalidInput | None:
        """Why the file is refused, waiting for the comparison. A claim without a solution has no other check."""
        until = time.monotonic() + timeout_s
        self.resume()
        while not self._compared and self._process is not None and time.monotonic() < until:
            if (fault := self.fault()) is not None or not self._process.alive:
                return fault or self.fault()
            select.select([self._process], [], [], _POLL_S)
        return self.fault()

    def check(self, values: Mapping[str, float], *, claimed: float | None) -> Verification:
        """Check `values` (column name → value, absent ones 0). The last answer is kept: asking again costs nothing.

        Raises InvalidInput when the file is refused, MemoryError, or NativeCrash.
        """
        question = (dict(values), claimed)
        if self._checked is not None and self._checked[0] == question:
            return self._checked[1]
        with self._kept(values) as path:
            self._ask({"check": str(path), "claimed": claimed})
            answer = Verification.model_validate_json(self._wait(math.inf)["verification"])
        self._checked = (question, answer)
        return answer

    def prove(
        self,
        values: Mapping[str, float] | None,
        *,
        seconds: float,
        stopped: Callable[[], bool],
    ) -> tuple[Proved, dict[str, float] | None]:
        """Settle a claim in rational arithmetic: is anything better than `values` (None: is there a solution at all)?

        Returns the outcome and the exact point's nearest doubles, where one was met that beats `values`. Undecided when the
        model is too large, when the seconds are over and when `stopped()`. Raises as `check`.
        """
        undecided = Proved(claim=Claim.UNDECIDED)
        with self._kept(values or {}) as path:
            self._ask(
                {"prove": str(path), "incumbent": values is not None, "seconds": seconds}
            )
            try:
                answer = self._wait(time.monotonic() + seconds + _PROOF_GRACE_S, stopped)
            except NativeTimeout:
                self.close()
                return undecided, None
            point = (
                None if answer["proof"]["point"] is None else json.loads(path.read_text())
            )
        told = answer["proof"]
        return Proved(
            claim=Claim(told["claim"]), bound=told["bound"], nodes=int(told["nodes"])
        ), point

    def close(self) -> None:
        """End the process."""
        if self._finalizer is not None:
            self._finalizer()
        self._process, self._finalizer, self._commands = None, None, -1

    def _serve(self, commands: int, say: Say) -> None:
        """The process' work."""
        from solvers.read import format_of

        try:
            file_format = (
                self._format
                if self._format != "auto"
                else format_of(self._file, name=self._name)
            )
            exact = read_exact(self._file, format=file_format, name=self._name)
            if self._searched is not None:  # a second start
                refuse_differences(exact, self._searched)
            with os.fdopen(commands) as lines:
                while line := lines.readline():
                    command = json.loads(line)
                    if "compare" in command:
                        saved = Path(command["compare"])
                        refuse_differences(exact, model_file.load(saved, command["told"]))
                        model_file.remove(saved)
                        say({"compared": True})
                    elif "prove" in command:
                        say({"proof": _proof(exact, command)})
                    else:
                        values = json.loads(Path(command["check"]).read_text())
                        verification = verify(exact, values, claimed=command["claimed"])
                        say({"verification": verification.model_dump_json()})
        except ModelError as error:
            say({"refused": str(error)})

    def _send(self, command: Message) -> None:
        # When the process has ended, what it said last tells why.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._commands, json.dumps(command).encode() + b"\n")

    def _ask(self, command: Message) -> None:
        if self._process is None:
            self.start()
        self._answer = None
        self._send(command)

    @contextlib.contextmanager
    def _kept(self, values: Mapping[str, float]) -> Iterator[Path]:
        path = self._workdir / "claimed.json"
        path.write_text(json.dumps(dict(values)))
        try:
            yield path
        finally:
            path.unlink()

    def _hear(self, process: NativeProcess) -> None:
        for message in process.messages():
            if "refused" in message:
                self._refusal = str(message["refused"])
            elif "compared" in message:
                self._compared = True
            else:
                self._answer = message

    def _wait(self, until: float, stopped: Callable[[], bool] = lambda: False) -> Message:
        process = self._process
        if process is None:
            raise RuntimeError("check() and prove() start the process")
        process.resume()
        while True:
            alive = process.alive
            self._hear(process)
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


def _proof(exact: ExactModel, command: Message) -> Message:
    """Run the exact branch and bound. A better point is written over the incumbent's file."""
    path = Path(command["prove"])
    incumbent = None
    if command["incumbent"]:
        checked = check_exactly(exact, json.loads(path.read_text()))
        incumbent = checked.objective if checked.feasible else None
    proof = prove(
        exact, incumbent=incumbent, gap=_PROOF_GAP, seconds=float(command["seconds"])
    )
    if proof.x is not None:
        path.write_text(
            json.dumps(
                {
                    name: float(v)
                    for name, v in zip(exact.col_names, proof.x, strict=True)
                    if v
                }
            )
        )
    return {
        "claim": proof.claim.value,
        "bound": None if proof.bound is None else as_float(proof.bound),
        "nodes": proof.nodes,
        "point": None if proof.x is None else True,
    }


def _close(process: NativeProcess, commands: int, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork has a copy of the object, but the process is its parent's
    process.close()
    os.close(commands)
