"""The door between dispatch and execution: one Executor protocol, three implementations, one conformance suite.

    dispatcher ──Task──▶ Executor.start ──▶ Execution   events() … result()      stop()  cancel()

An executor runs a Task in a child process of its own and tells what happens. It never touches the store, never
retries, and knows nothing of leases: the dispatcher owns those (Ray's own retries are off for the same reason).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from trimtab.results import EventType, Termination


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child process may take. Enforced by rlimits always, and by bubblewrap when it is there."""

    memory_bytes: int = 6 * 2**30  # address space of each process
    file_bytes: int = 2 * 2**30  # largest file it may write
    processes: int = (
        256  # processes and threads of the user, where the kernel counts them per sandbox
    )
    cpu_s: int | None = None  # None: 4 × the wall-clock budget + 60
    grace_s: float = 2.0  # after `stop`: seconds to hand in the best, then SIGKILL
    finish_s: float | None = (
        None  # to verify and write a dead run's best; None: see `finish_seconds`
    )

    def finish_seconds(self, budget_s: float) -> float:
        """Seconds that a finishing run may take beyond the budget: half the budget, and at least 30 s."""
        return max(30.0, 0.5 * budget_s) if self.finish_s is None else self.finish_s


@dataclass(frozen=True, kw_only=True)
class Task:
    """One attempt at one job, as it crosses to a worker. Plain JSON but for the input files."""

    job_id: str
    fence: int
    kind: str
    builder: str  # "module:function", from KINDS and never from a client
    spec_class: str  # "module:class" of the spec's model, from KINDS too
    spec: Mapping[str, Any]  # the validated spec, as JSON
    seed: int
    budget: Mapping[str, Any]  # trimtab.specs.Budget as JSON
    inputs: Mapping[str, Path] = field(
        default_factory=dict
    )  # input name → file on the dispatcher's machine
    input_names: Mapping[str, str] = field(
        default_factory=dict
    )  # input name → the name its owner gave it
    limits: Limits = field(default_factory=Limits)
    baseline: bool = False  # the kind has an answer without a search, for a run that dies before it reports any
    start: bytes | None = (
        None  # checkpoint of an earlier attempt: the search begins from it
    )
    finish: Finish | None = None  # do not search: verify and write `start`, or the baseline


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Why a task only finishes what an earlier run had found."""

    ended: Termination  # how that run ended
    decorate: bool = True  # False: only the files that are the result, because that run died writing them


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Something the child said while running. Throttled to 10 a second a job, the newest never lost."""

    type: EventType
    data: Mapping[str, Any]
    elapsed_s: float


class OutcomeStatus(StrEnum):
    """How an attempt ended, as the dispatcher must treat it."""

    RESULT = "result"  # a RunResult came back (also infeasible, also stopped)
    FAILED = "failed"  # the input's own fault; the same again would end the same: no retry
    CANCELLED = "cancelled"  # discarded on request
    LOST = "lost"  # the child or its host died or went silent; another attempt may succeed
    TRANSIENT = (
        "transient"  # the service's own passing fault (no memory to fork, disk full)
    )


@dataclass(frozen=True, kw_only=True)
class ProducedFile:
    """A file the run left for its owner, already on the dispatcher's machine."""

    name: str
    path: Path
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one attempt."""

    status: OutcomeStatus
    termination: Termination
    result: Mapping[str, Any] | None = (
        None  # trimtab.results.RunResult as JSON, without artifacts
    )
    produced: tuple[ProducedFile, ...] = ()  # move or copy them before `Execution.close()`
    usage: Mapping[str, float] = field(
        default_factory=dict
    )  # max_rss_bytes, cpu_s, wall_s, startup_s


class Execution(Protocol):
    """A running attempt."""

    def events(self) -> AsyncIterator[Progress]:
        """What the child says, in order, until it ends. At most one consumer."""
        ...

    async def result(self) -> Outcome:
        """Wait for the end. Never raises for what the child did."""
        ...

    @property
    def silent_s(self) -> float:
        """Seconds since the child was last heard (it beats every second while alive)."""
        ...

    async def stop(self) -> None:
        """End now and keep the best: the child gets `limits.grace_s`, then it is killed and its best is finished."""
        ...

    async def checkpoint(self) -> bytes | None:
        """The newest checkpoint of the run that has reached this machine; None before the first."""
        ...

    async def cancel(self) -> None:
        """End now and discard: kills the child and everything it started."""
        ...

    async def close(self) -> None:
        """Remove the work folder. Call after `result()` and after the produced files were taken."""
        ...


class Executor(Protocol):
    """Runs tasks. `capacity` is how many at once."""

    name: str

    @property
    def capacity(self) -> int:
        """Attempts that can run at once now (a Ray cluster may grow)."""
        ...

    async def open(self) -> None:
        """Start what is kept warm."""
        ...

    async def start(self, task: Task) -> Execution:
        """Begin an attempt; returns once a child has it. Raises nothing for what the task holds."""
        ...

    async def close(self) -> None:
        """Kill every child and free everything; no process may be left."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """For `/readyz`, the workers page and `trimtab doctor`."""
        ...
