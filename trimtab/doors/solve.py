"""Solve a model file: the one way by which every door runs anything.

where → a Client; "local"; None: TRIMTAB_URL if it is set, else this machine
Ctrl-C → once: stop, and return the best solution; twice: cancel, and raise KeyboardInterrupt
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.doors import local
from trimtab.doors.answer import (
    Answer,
    DoorError,
    Improvement,
    OnSolution,
    PoolSolution,
    SolveOptions,
)
from trimtab.doors.log import SolveLog, number
from trimtab.errors import TrimtabError
from trimtab.results import (
    DUALS_FILE,
    POOL_FILE,
    SOLUTION_FILE,
    Reason,
    RunResult,
    Termination,
)

if TYPE_CHECKING:
    from trimtab.client import Client, Job

# Files of a result that an answer is read from; the text of the solution is only kept.
_READ = (SOLUTION_FILE, DUALS_FILE, POOL_FILE)
_KEPT = (*_READ, "solution.sol")
_POLL_S = 0.25
_LISTEN_S = 1.0  # between two values of incumbents
# Ends of a job that are answers, although the job has no result.
_ANSWERS = (Reason.NUMERICAL_ERROR, Reason.VERIFICATION_FAILED)

OnEvent = Callable[[str, Mapping[str, Any]], None]
"""Called with each event's type and data."""


def solve(
    model: Path,
    options: SolveOptions | None = None,
    *,
    where: Client | str | None = None,
    log: SolveLog | None = None,
    on_event: OnEvent = lambda kind, data: None,
    on_solution: OnSolution | None = None,
    keep: Path | None = None,
) -> Answer:
    """Solve an .mps or .lp file and return the answer in the names of the file.

    Args:
        model: The file.
        options: Limits and engine.
        where: Who solves: see the top of this module.
        log: Receives a line for each incumbent.
        on_event: Receives each event.
        on_solution: Receives the values of better solutions while the solve runs, by the names of
            the file; True ends the solve with its best solution.
        keep: Folder for the files of the result; `Answer.files` then names them.

    Raises DoorError for a model that is refused and a run without an answer, and what the client
    raises when the server cannot be reached.
    """
    options = options or SolveOptions()
    log = log or SolveLog()

    listener = _Listener(on_solution)

    def report(kind: str, data: Mapping[str, Any]) -> None:
        log.event(kind, data)
        on_event(kind, data)
        listener.event(kind, data)

    began = time.monotonic()
    client = _client(where)
    with tempfile.TemporaryDirectory(prefix="trimtab-door-") as scratch:
        files = keep or Path(scratch)
        if client is None:
            answer = _solve_here(model, options, report, listener, files)
        else:
            wanted = _READ if keep is None else _KEPT
            answer = _solve_there(client, model, options, report, listener, files, wanted)
    answer = replace(answer, seconds=time.monotonic() - began)
    if keep is None:
        answer = replace(answer, files={})
    log.line(_last_line(answer))
    return replace(answer, log=log.text)


def _client(where: Client | str | None) -> Client | None:
    """Return the client to use; None for this machine. Raises DoorError or ConfigError."""
    if where == "local" or (where is None and not os.environ.get("TRIMTAB_URL")):
        return None
    if where is None or isinstance(where, str):
        from trimtab.client import Client

        return Client(where)
    return where


def _last_line(answer: Answer) -> str:
    ended = f"{answer.reason.value}" + (
        f" ({answer.limit.value})" if answer.limit else ""
    )
    gap = "-" if answer.gap is None else f"{answer.gap:.4%}"
    return (
        f"trimtab: {ended}; objective {number(answer.objective)}, bound "
        f"{number(answer.bound)}, gap {gap}, {answer.checked}, {answer.seconds:.2f} s"
    )


# --- on this machine


def _solve_here(
    model: Path,
    options: SolveOptions,
    report: OnEvent,
    listener: _Listener,
    files: Path,
) -> Answer:
    spec: dict[str, Any] = {"model_path": str(model.resolve()), **options.spec_fields()}
    if options.start is not None:
        spec["warm_start_path"] = str(options.start.resolve())
    job = {
        "kind": "ilp",
        "spec": spec,
        "budget": options.budget(),
        "seed": options.seed,
    }
    runner = local.borrow()
    try:
        runner.begin(job, folder=model.resolve().parent, files=files)
        record = _follow(runner, report, listener)
    except BaseException:
        runner.close()
        raise
    local.give_back(runner)
    if record["state"] == "CANCELLED":
        raise KeyboardInterrupt
    if record.get("result") is None:
        ended = Termination.model_validate(record["termination"], strict=False)
        return _without_result(ended, model, job=None)
    result = RunResult.model_validate(record["result"], strict=False)
    found = {
        name: files / reference.digest.removeprefix("sha256:")
        for name, reference in result.artifacts.items()
    }
    return _answer(result, {name: path for name, path in found.items() if path.is_file()})


def _follow(
    runner: local.LocalRunner, report: OnEvent, listener: _Listener | None = None
) -> dict[str, Any]:
    """Report events until the job's record comes. The first Ctrl-C stops it, the second cancels."""
    interrupts = 0
    listener = listener or _Listener(None)
    while True:
        try:
            message = runner.receive(_POLL_S)
            if listener.due():
                runner.send({"type": "incumbent"})
            if message is None:
                continue
            if message["type"] == "done":
                record: dict[str, Any] = message["record"]
                return record
            if message["type"] == "values":
                view = message["view"]
                if view is not None and listener.call(
                    view["objective"], view["nonzeros"]
                ):
                    runner.send({"type": "stop"})
                continue
            report(str(message["event"]), message["data"])
        except KeyboardInterrupt:
            interrupts += 1
            runner.send({"type": "stop" if interrupts == 1 else "cancel"})


# --- on a server


def _solve_there(
    client: Client,
    model: Path,
    options: SolveOptions,
    report: OnEvent,
    listener: _Listener,
    files: Path,
    wanted: Collection[str],
) -> Answer:
    from trimtab.specs.ilp import IlpSpec

    spec = IlpSpec.from_file(model, warm_start=options.start, **options.spec_fields())
    budget: dict[str, Any] = options.budget()
    job = client.submit(spec, seed=options.seed, **budget)
    _follow_job(job, report, listener)
    view = job.wait()
    if view.state.value != "SUCCEEDED":
        if view.state.value == "CANCELLED":
            raise KeyboardInterrupt
        ended = view.termination or Termination(reason=Reason.INTERNAL_ERROR)
        return _without_result(ended, model, job=job.id)
    result = job.result()
    found = {
        name: job.download(name, files / name)
        for name in result.artifacts
        if name in wanted
    }
    return replace(_answer(result, found), job=job.id)


def _follow_job(job: Job, report: OnEvent, listener: _Listener) -> None:
    """Report a job's events until it ends. The first Ctrl-C stops it, the second cancels.

    The stream is read in a thread: an interrupt in the middle of it would break the connection.
    """
    ended = threading.Event()
    fault: list[Exception] = []

    def read() -> None:
        try:
            for event in job.events():
                report(event.type.value, event.data)
        except Exception as error:  # raised again by the thread that waits
            fault.append(error)
        finally:
            ended.set()

    threading.Thread(target=read, daemon=True).start()
    interrupts = 0
    while not ended.is_set():
        try:
            ended.wait(_POLL_S)
            if listener.due():
                _pass_on(job, listener)
        except KeyboardInterrupt:
            interrupts += 1
            job.stop() if interrupts == 1 else job.cancel()
    if fault:
        raise DoorError(
            f"the stream of job {job.id} broke: {fault[0]}; the job goes on: "
            f"`trimtab watch {job.id}`"
        ) from fault[0]


def _pass_on(job: Job, listener: _Listener) -> None:
    """Fetch the newest incumbent and call the listener; a fault in the callback ends the job."""
    try:
        found = job.incumbent()
    except TrimtabError:  # none is stored yet; the next event asks again
        return
    try:
        wants_end = listener.call(found.objective, found.nonzeros)
    except BaseException:
        job.stop()
        raise
    if wants_end:
        job.stop()


class _Listener:
    """Calls the caller's `on_solution` with the newest incumbent, at most once a second."""

    def __init__(self, on_solution: OnSolution | None) -> None:
        self._on_solution = on_solution
        self._newest: Mapping[str, Any] | None = None
        self._last_objective: float | None = None
        self._asked = -math.inf

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take note of an incumbent."""
        if kind == "incumbent" and data.get("objective") is not None:
            self._newest = data

    def due(self) -> bool:
        """Return True when the values of a newer incumbent are to be fetched now."""
        if self._on_solution is None or self._newest is None:
            return False
        if self._newest["objective"] == self._last_objective:
            return False
        if time.monotonic() - self._asked < _LISTEN_S:
            return False
        self._asked = time.monotonic()
        return True

    def call(self, objective: float | None, nonzeros: Mapping[str, float]) -> bool:
        """Call `on_solution`; return True when it ends the solve."""
        if self._on_solution is None or objective == self._last_objective:
            return False
        newest = self._newest or {}
        self._last_objective = objective
        current = newest.get("objective") == objective
        found = Improvement(
            seconds=float(newest.get("elapsed_s") or 0.0),
            objective=objective,
            bound=newest.get("bound"),
            gap=newest.get("gap") if current else None,
            values=nonzeros,
        )
        return self._on_solution(found) is True


# --- the answer


def _answer(result: RunResult, files: Mapping[str, Path]) -> Answer:
    ended = result.termination
    nonzeros = duals = reduced_costs = None
    if SOLUTION_FILE in files:
        nonzeros = json.loads(files[SOLUTION_FILE].read_text())["nonzeros"]
    pool: tuple[PoolSolution, ...] = ()
    complete = False
    if POOL_FILE in files:
        pool, complete = read_pool(files[POOL_FILE])
    if DUALS_FILE in files:
        written = json.loads(files[DUALS_FILE].read_text())
        duals, reduced_costs = written["duals"], written["reduced_costs"]
    check = result.verification
    objective = check.objective if check.objective is not None else result.objective
    return Answer(
        reason=ended.reason,
        limit=ended.limit,
        detail=ended.detail,
        sense=result.sense,
        objective=None if nonzeros is None else objective,
        bound=result.bound,
        gap=result.gap,
        nonzeros=nonzeros,
        duals=duals,
        reduced_costs=reduced_costs,
        pool=pool,
        pool_complete=complete,
        checked=check.status.value,
        files=files,
    )


def read_pool(path: Path) -> tuple[tuple[PoolSolution, ...], bool]:
    """Return the solutions of a `solutions.json`, and whether there are no others."""
    written = json.loads(path.read_text(encoding="utf-8"))
    found = tuple(
        PoolSolution(
            objective=float(one["objective"]),
            nonzeros=one["nonzeros"],
            distance=int(one["distance"]),
        )
        for one in written["solutions"]
    )
    return found, bool(written["complete"])


def _without_result(ended: Termination, model: Path, *, job: str | None) -> Answer:
    """Return the answer of a job without a result, where its end is one. Raises DoorError."""
    if ended.reason in _ANSWERS:
        return Answer(
            reason=ended.reason, limit=ended.limit, detail=ended.detail, job=job
        )
    where = f"{model.name}, job {job}" if job else model.name
    raise DoorError(f"{where}: {ended.reason.value}: {ended.detail or 'no detail'}")
