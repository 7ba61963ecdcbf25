"""Protocol between dispatch and execution: one Executor, three implementations, one contract test.

    dispatcher ──Task──▶ Executor.start ──▶ Execution   events() … result()      stop()  cancel()

An executor runs a Task in a child process of its own and reports progress and outcome. It never
touches the store, never retries, and knows nothing of leases: the dispatcher owns those (Ray's own
retries are off for the same reason).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from search.rest import Rest
from search.text_model import Capabilities, Ended, TextRequest, Token
from trimtab.results import EventType, Termination


@dataclass(frozen=True, kw_only=True)
class TaskLimits:
    """Resources of one child process. Rlimits enforce them always, bubblewrap where it works."""

    memory_bytes: int = 6 * 2**30
    """Address space of each process."""
    file_bytes: int = 2 * 2**30
    """Largest file that a process may write."""
    cpu_s: int | None = None
    """Processor seconds. None: 4 × the wall-clock budget + 60."""
    grace_s: float = 2.0
    """Seconds from `stop` to SIGKILL, in which the run hands in its best solution."""
    finish_s: float | None = None
    """Seconds to verify and write the best solution of a dead run. None: see `finish_seconds`."""

    def finish_seconds(self, budget_s: float) -> float:
        """Return the allowance of a finishing run, seconds: half the budget, and at least 30."""
        return max(30.0, 0.5 * budget_s) if self.finish_s is None else self.finish_s


@dataclass(frozen=True, kw_only=True)
class Task:
    """One attempt at one job, as a worker gets it. Plain JSON apart from files and checkpoint."""

    job_id: str
    fence: int
    """Fencing token of the claim: the store refuses a write with an older one."""
    kind: str
    builder: str
    """`module:function` of the domain's builder, from KINDS and never from a client."""
    spec_class: str
    """`module:class` of the spec's model, from KINDS too."""
    spec: Mapping[str, Any]
    """The validated spec, as JSON."""
    seed: int
    budget: Mapping[str, Any]
    """`trimtab.specs.Budget` as JSON."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Input name → file on the dispatcher's machine."""
    input_names: Mapping[str, str] = field(default_factory=dict)
    """Input name → file name that its owner chose."""
    limits: TaskLimits = field(default_factory=TaskLimits)
    baseline: bool = False
    """The kind has an answer without a search, for a run that dies before it reports any."""
    resumes: bool = False
    """A lost attempt is continued by the next one instead of finished: its checkpoint holds no
    answer yet."""
    start: bytes | None = None
    """Checkpoint of an earlier attempt: the search begins from it."""
    model: str = "auto"
    """`JobRequest.model`: auto, shipped, or the id of a fitted model."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Fitted models that the job may use, newest first: id → sha256. Their files are the inputs
    `model.<id>`."""
    needs: tuple[str, ...] = ()
    """Names in `workers.needs.PROVIDERS`: arguments of the domain's builder."""
    woken: Mapping[str, Any] | None = None
    """`search.rest.Woken` as JSON, for a run that was at rest."""
    finish: Finish | None = None
    """Set: do not search; verify and write `start`, or the baseline."""

    @property
    def module(self) -> str:
        """The module of the builder, which a warm child imports in advance."""
        return self.builder.partition(":")[0]


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Instruction to finish an earlier run's best solution instead of searching."""

    ended: Termination
    """How the earlier run ended."""
    decorate: bool = True
    """False: write the result's own files only, because that run died while it wrote files."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """An event of a running child. At most 10 a second per job; the newest is never lost."""

    type: EventType
    data: Mapping[str, Any]
    elapsed_s: float


class OutcomeStatus(StrEnum):
    """End of an attempt, as the dispatcher has to treat it."""

    RESULT = "result"
    """A RunResult is there (also for an infeasible problem or a stopped run)."""
    FAILED = "failed"
    """The input's own fault: another attempt would end the same way, so there is none."""
    CANCELLED = "cancelled"
    """Discarded on request."""
    LOST = "lost"
    """The child or its host died or was silent for too long; another attempt may succeed."""
    RESTED = "rested"
    """The run keeps a memo and ends for now: `Outcome.rest`."""
    TRANSIENT = "transient"
    """A passing fault of the service (no memory to fork, full disk); another may succeed."""


@dataclass(frozen=True, kw_only=True)
class ProducedFile:
    """A file that the run left for its owner, already on the dispatcher's machine."""

    name: str
    path: Path
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one attempt."""

    status: OutcomeStatus
    termination: Termination
    result: Mapping[str, Any] | None = None
    """`trimtab.results.RunResult` as JSON, without artifacts."""
    rest: Rest | None = None
    """With status RESTED."""
    produced: tuple[ProducedFile, ...] = ()
    """Move or copy these files before `Execution.close()`."""
    usage: Mapping[str, float] = field(default_factory=dict)
    """Any of max_rss_bytes, cpu_s, wall_s, startup_s."""


class Execution(Protocol):
    """A running attempt."""

    def events(self) -> AsyncIterator[Progress]:
        """Yield the child's events in order until it ends. At most one consumer."""
        ...

    async def result(self) -> Outcome:
        """Wait for the end. Never raises because of the child."""
        ...

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame of the child (a live child sends one every 0.5 s)."""
        ...

    async def stop(self) -> None:
        """End now and keep the best: after `limits.grace_s` kill the child and finish its best."""
        ...

    async def checkpoint(self) -> bytes | None:
        """Return the newest checkpoint that reached this machine; None before the first."""
        ...

    async def cancel(self) -> None:
        """End now and discard: kill the child and everything it started."""
        ...

    async def close(self) -> None:
        """Remove the work folder. Call after `result()`, once produced files are taken."""
        ...


class Executor(Protocol):
    """Runs tasks, at most `capacity` at once."""

    name: str

    @property
    def capacity(self) -> int:
        """Attempts that can run at once now (a Ray cluster may grow)."""
        ...

    async def open(self) -> None:
        """Start what is kept warm."""
        ...

    async def start(self, task: Task) -> Execution:
        """Begin an attempt; return once a child has it. Raises nothing because of the task."""
        ...

    async def close(self) -> None:
        """Kill every child and free everything; no process is left."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return the executor's state for `/readyz`, the workers page and `trimtab doctor`."""
        ...


class TextBackend(Protocol):
    """A language model that is hosted elsewhere, for many callers at once on one event loop."""

    async def open(self) -> None:
        """Begin to load the model; returns at once. Raises nothing because of the model."""
        ...

    async def close(self) -> None:
        """End every call and the model's process."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return name, state, capabilities, calls and restarts, for the pages and `/metrics`."""
        ...

    async def capabilities(self) -> Capabilities:
        """Wait until the model is loaded, and say what it can do. Raises ModelUnavailable."""
        ...

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        owner: str = "",
        deadline_s: float | None = None,
    ) -> AsyncGenerator[Token, None]:
        """Yield tokens as they come; `ended` is complete when the stream is exhausted.

        `owner` is whose call it is: callers take turns when there are more calls than the model
        takes at once. Closing the generator cancels the call. Raises TextModelError: ModelBusy
        when too many calls wait, ModelUnavailable when the model's process ended meanwhile.
        """
        ...

    async def score(
        self, prompt: str, continuations: Sequence[str], *, owner: str = ""
    ) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats."""
        ...

    async def tokenize(self, text: str, *, owner: str = "") -> list[int]:
        """Return ids of a text."""
        ...
