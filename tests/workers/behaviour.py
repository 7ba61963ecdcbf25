"""A kind for the executors' tests: runs that behave like hostile input or faulty native code."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from search import isolation
from search.stop import StoppingCriterion
from search.types import Extra, OnIncumbent, Produced, SearchOutcome
from trimtab.results import (
    Incumbent,
    Reason,
    Termination,
    Verification,
    VerificationStatus,
)
from trimtab.specs.common import Spec


class BehaviourSpec(Spec):
    KIND: ClassVar[str] = "behaviour"
    SUMMARY: ClassVar[str] = "What tests need."

    does: str
    number: int = 0
    path: str = ""
    fails_in: str = ""  # raise in verify, produce or extra
    # Die once, in search (before the last incumbent), verify or produce.
    dies_in: str = ""
    dies_by: int = 0
    slow_restore: float = 0.0


class BehaviourDomain:
    def parse(
        self, spec: BehaviourSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> Any:
        if spec.does == "crash_parser":
            _segfault()
        if spec.does == "crash_forked_parser":
            isolation.call("reading", _segfault, timeout_s=10)
        return spec, inputs, workdir

    def encode(self, problem: Any) -> None:
        pass

    def search(
        self,
        problem: Any,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: float | None = None,
    ) -> SearchOutcome:
        spec, inputs, workdir = problem
        report = getattr(self, "_" + spec.does)(spec, inputs, workdir, stop, on_incumbent)
        (workdir / "told.json").write_text(json.dumps(report))
        best = 0.0 if spec.dies_in else 1.0
        return SearchOutcome(
            termination=Termination(reason=Reason.COMPLETED),
            solution=best,
            objective=best,
            bound=None,
        )

    def verify(self, problem: Any, solution: Any) -> Verification:
        spec, _, workdir = problem
        _misbehave(spec, workdir, "verify")
        refused = spec.does == "lie"
        return Verification(
            status=VerificationStatus.INVALID if refused else VerificationStatus.VALID
        )

    def produce(
        self, problem: Any, solution: Any, workdir: Path
    ) -> list[Produced | Extra]:
        spec = problem[0]
        _misbehave(spec, workdir, "produce")
        if not (workdir / "told.json").exists():
            (workdir / "told.json").write_text("restored")
        files: list[Produced | Extra] = [
            Produced(
                name="told.json",
                path=workdir / "told.json",
                media_type="application/json",
            )
        ]
        if spec.fails_in == "extra" or spec.dies_in:
            files.append(
                Extra(
                    name="curve.svg",
                    write=lambda path: _draw(spec, path),
                    media_type="image/svg+xml",
                )
            )
        return files

    def keep(self, problem: Any, solution: Any) -> bytes:
        return json.dumps(solution).encode()

    def restore(self, problem: Any, data: bytes) -> SearchOutcome:
        number = float(json.loads(data))
        time.sleep(problem[0].slow_restore)
        (problem[2] / "restored").touch()
        return SearchOutcome(
            termination=Termination(reason=Reason.FEASIBLE),
            solution=number,
            objective=number,
            bound=None,
        )

    def _lie(self, *_: Any) -> None:
        return None

    def _look_around(
        self, spec: BehaviourSpec, inputs: Mapping[str, Path], workdir: Path, *_: Any
    ) -> Any:
        """Environment, open files, and whether a file and a port of the machine can be reached."""
        try:
            socket.create_connection(("127.0.0.1", spec.number), timeout=2).close()
            reached = True
        except OSError:
            reached = False
        try:
            (Path(__file__).parent / "written-by-a-run").touch()
            (Path(__file__).parent / "written-by-a-run").unlink()
            writes_code = True
        except OSError:
            writes_code = False
        return {
            "environment": dict(os.environ),
            "files": [
                os.readlink(f"/proc/self/fd/{fd}")
                for fd in os.listdir("/proc/self/fd")
                if _is_open(fd)
            ],
            "reached": reached,
            "reads": _reads(spec.path),
            "writes_code": writes_code,
            "folder": os.getcwd(),
            "inputs": {
                name: [path.name, path.read_text()] for name, path in inputs.items()
            },
        }

    def _incumbents(
        self,
        spec: BehaviourSpec,
        _i: Any,
        _w: Any,
        stop: StoppingCriterion,
        say: OnIncumbent,
    ) -> None:
        """`number` of them, one each millisecond."""
        for left in range(spec.number, 0, -1):
            if left == 1 and spec.dies_in == "search":
                time.sleep(0.3)  # the throttle has passed the last one on
                os.kill(os.getpid(), spec.dies_by)
            say(
                Incumbent(elapsed_s=0.0, objective=float(left - 1)),
                functools.partial(float, left - 1),
            )
            time.sleep(0.001)

    def _unsound_pictures(
        self, spec: Any, _i: Any, _w: Any, stop: Any, say: OnIncumbent
    ) -> None:
        """An incumbent with pictures that no model accepts, as a hostile child may send them."""
        pictures: Any = ({"type": "svg", "text": "<script>alert(1)</script>"},)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            say(
                Incumbent.model_construct(
                    elapsed_s=0.0, objective=1.0, pictures=pictures, source=""
                ),
                lambda: 1.0,
            )
            time.sleep(0.3)  # the throttle's thread has sent it

    def _flood(self, spec: BehaviourSpec, *_: Any) -> None:
        line = b"x" * 1023 + b"\n"
        for _number in range(spec.number * 1024):
            os.write(1, line)
        os.write(2, b"these were its last words\n")
        os.kill(os.getpid(), signal.SIGABRT)

    def _escape(self, spec: BehaviourSpec, _i: Any, workdir: Path, *_: Any) -> None:
        """Start a grandchild in its own session that outlives its parent, with all its files."""
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(300)
            os._exit(0)
        os.wait()
        if spec.number:
            os.kill(os.getpid(), spec.number)
            time.sleep(300)

    def _spawn_and_hang(
        self, _s: Any, _i: Any, _w: Any, _stop: Any, say: OnIncumbent
    ) -> None:
        """Two forked native processes that hang, and so does this one."""
        _kept = [
            isolation.NativeProcess("hanging", lambda tell: time.sleep(300))
            for _ in range(2)
        ]
        say(Incumbent(elapsed_s=0.0, objective=1.0))
        time.sleep(300)

    def _burn(self, _s: Any, _i: Any, _w: Any, _stop: Any, say: OnIncumbent) -> None:
        while True:
            pass

    def _report_and_burn(self, *arguments: Any) -> None:
        arguments[-1](Incumbent(elapsed_s=0.0, objective=1.0), lambda: 1.0)
        self._burn(*arguments)

    def _write(self, spec: BehaviourSpec, _i: Any, workdir: Path, *_: Any) -> None:
        with (workdir / "large").open("wb") as file:
            for _number in range(spec.number):
                file.write(bytes(2**20))

    def _deaf(self, _s: Any, _i: Any, _w: Any, _stop: Any, say: OnIncumbent) -> None:
        """Hold the interpreter's lock, as native code may: no other thread runs."""
        say(Incumbent(elapsed_s=0.0, objective=1.0))
        ctypes.PyDLL(None).sleep(300)


def _reads(path: str) -> bool:
    try:
        return bool(Path(path).read_bytes())
    except OSError:
        return False


def _is_open(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def _misbehave(spec: BehaviourSpec, workdir: Path, phase: str) -> None:
    if spec.fails_in == phase:
        raise RuntimeError(f"as asked, in {phase}")
    if spec.dies_in == phase and not (workdir / "restored").exists():
        os.kill(os.getpid(), spec.dies_by)
        signal.pause()


def _draw(spec: BehaviourSpec, path: Path) -> None:
    if spec.fails_in == "extra":
        raise ZeroDivisionError("flat")
    path.write_text("<svg/>")


def _segfault() -> dict[str, Any]:
    print("about to read from nowhere", file=sys.stderr, flush=True)
    ctypes.string_at(0)
    return {}


def build() -> BehaviourDomain:
    return BehaviourDomain()
