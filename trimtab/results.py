"""Answers of the API: states, terminations, events, verification, results."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
)

from trimtab.pictures import Pictures
from trimtab.solution import SolutionValues
from trimtab.specs.common import ArtifactRef, Budget, Needs, WireModel

SOLUTION_FILE, DUALS_FILE = "solution.json", "duals.json"
POOL_FILE = "solutions.json"

# Results are read back by older clients: they ignore fields they do not know.
_READ = ConfigDict(extra="ignore", defer_build=True)


class JobSort(StrEnum):
    """Column that a list of jobs is ordered by. Jobs without a value come last."""

    CREATED = "created"
    """Time of the submit."""
    FINISHED = "finished"
    """Time of the end."""
    RUN_TIME = "run_time"
    """Duration of the last attempt of an ended job."""
    OBJECTIVE = "objective"
    """Best objective so far."""
    GAP = "gap"
    """Gap between objective and bound."""
    NAME = "name"
    """Name, without regard to letter case."""
    KIND = "kind"
    """Kind."""
    STATE = "state"
    """Name of the state."""


class JobState(StrEnum):
    """State of a job. `services.store.lifecycle` defines the transitions."""

    WAITING = "WAITING"
    """Stored, waiting for other jobs to end (`after`, or a file of theirs)."""
    QUEUED = "QUEUED"
    """Stored, waiting for a worker (also between attempts)."""
    RUNNING = "RUNNING"
    """Held by one worker under a lease."""
    SUCCEEDED = "SUCCEEDED"
    """Ended with a result, also when stopped with its best solution, or proved infeasible."""
    FAILED = "FAILED"
    """Ended by a fault of its input. Running it again would end the same way."""
    CANCELLED = "CANCELLED"
    """Discarded by its owner."""
    DEAD = "DEAD"
    """Given up after `max_attempts` runs were lost by faults of the service; `retry` revives it."""
    SKIPPED = "SKIPPED"
    """Never run: a job that it needed did not succeed; a `retry` of that job revives it."""
    NEEDS_INPUT = "NEEDS_INPUT"
    """At rest until its owner answers a question: `POST /v1/jobs/{id}/outline/answers`."""
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    """At rest until its owner approves its outline: `POST /v1/jobs/{id}/outline/approve`."""

    @property
    def is_terminal(self) -> bool:
        """True for an ended job; False for a state that this version does not know."""
        return self in ENDED

    @property
    def is_resting(self) -> bool:
        """True for a job that waits for its owner; no worker holds it."""
        return self in RESTING


ENDED = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.DEAD,
        JobState.SKIPPED,
    }
)
RESTING = frozenset({JobState.NEEDS_INPUT, JobState.AWAITING_APPROVAL})


def _known_or_newer(value: Any) -> Any:
    """Return a state; one that a newer server sends has no name here and has not ended."""
    if not isinstance(value, str) or value in JobState.__members__:
        return value
    unknown = str.__new__(JobState, value)
    unknown._name_ = unknown._value_ = value
    return unknown


StateView = Annotated[JobState, BeforeValidator(_known_or_newer)]
"""State in an answer of the server, which may be newer than this client."""


class Reason(StrEnum):
    """Why a run ended. There is no default."""

    OPTIMAL = "optimal"
    """Proved: no better solution exists within tolerance."""
    FEASIBLE = "feasible"
    """A limit was reached with a solution; `limit` names it."""
    NO_SOLUTION_FOUND = "no_solution_found"
    """A limit was reached without a solution; nothing was proved."""
    INFEASIBLE = "infeasible"
    """Proved: no solution exists."""
    UNBOUNDED = "unbounded"
    """Proved: the objective can improve without limit."""
    INFEASIBLE_OR_UNBOUNDED = "infeasible_or_unbounded"
    """Proved: there is no optimum; which of the two holds is open."""
    COMPLETED = "completed"
    """All work is done; the kind has no notion of optimality."""
    INVALID_INPUT = "invalid_input"
    """The input cannot be read or is inconsistent."""
    INPUT_CRASHED_PARSER = "input_crashed_parser"
    """The native parser or solver died by a signal on this input."""
    RESOURCE_EXHAUSTED = "resource_exhausted"
    """The run needed more memory, time or file space than its limits."""
    NUMERICAL_ERROR = "numerical_error"
    """The solvers gave up because of numerical trouble, and no solution is known."""
    VERIFICATION_FAILED = "verification_failed"
    """The search claimed a solution that the independent check refused."""
    CANCELLED = "cancelled"
    """The owner cancelled the job; its result is discarded."""
    WORKER_LOST = "worker_lost"
    """The worker died, or was silent for too long."""
    PARENT_FAILED = "parent_failed"
    """A job that this one needed did not succeed; `detail` names it."""
    INPUT_MISSING = "input_missing"
    """A job that this one needed succeeded without the file that this one reads."""
    INTERNAL_ERROR = "internal_error"
    """A fault of trimtab; report the detail."""


class Limit(StrEnum):
    """The limit that ended a run."""

    TIME = "time"
    """`budget.seconds`."""
    EVALUATIONS = "evaluations"
    """`budget.evaluations`."""
    TARGET_GAP = "target_gap"
    """`budget.target_gap`."""
    STOPPED = "stopped"
    """The owner called `stop`: end now and keep the best solution."""
    MEMORY = "memory"
    """The memory limit of the run."""
    ATTEMPTS = "attempts"
    """The limit of attempts (batch runs)."""
    CUTOFF = "cutoff"
    """Proved: no solution is as good as `spec.cutoff`."""
    OBJECTIVE = "objective"
    """`spec.objective_stop`: a solution was good enough."""
    BOUND = "bound"
    """`spec.bound_stop`: the proved bound went far enough."""
    NODES = "nodes"
    """`spec.node_limit`."""
    SOLUTIONS = "solutions"
    """`spec.solution_limit`."""
    OTHER = "other"
    """A limit inside a solver, or the end of a component; `detail` explains it."""


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Replace control characters but tab and newline by U+FFFD.

    A message may quote a file, and a terminal would obey what it quotes.
    """
    return _CONTROLS.sub("\ufffd", text)


Printable = Annotated[str, AfterValidator(printable)]


class Termination(WireModel):
    """Why a run ended, by which limit, and a sentence for people."""

    model_config = _READ
    reason: Reason
    """Why the run ended."""
    limit: Limit | None = None
    """Limit that ended it. None: no limit did."""
    detail: Printable = ""
    """A sentence for people."""


class Incumbent(WireModel):
    """A point of the trace: best objective and proved bound at one moment."""

    model_config = _READ
    elapsed_s: Annotated[float, Field(ge=0)]
    """Seconds since the run began, on the worker's monotonic clock."""
    objective: float | None = None
    """None while no solution is known."""
    bound: float | None = None
    """Dual bound; None while nothing is proved."""
    gap: float | None = None
    """|objective - bound| / max(|objective|, |bound|), in [0, 1] when signs agree; None unless both
    exist."""
    source: str = ""
    """Part of the search that found it, e.g. `highs`, `lns:lb-relax`."""
    pictures: Annotated[Pictures, Field(exclude_if=lambda pictures: not pictures)] = ()
    """Pictures of the solution, as values; in events only, and absent where a kind draws none.
    `GET /v1/jobs/{id}/pictures/{number}` draws those of the newest incumbent."""


class IncumbentValues(WireModel):
    """The newest incumbent of a job of kind `ilp`, by the names of its file."""

    model_config = _READ
    objective: float | None = None
    """Objective in the user's sense."""
    nonzeros: dict[str, float] = Field(default_factory=dict)
    """Values that are not 0, by column."""


PRINTED = "printed"
"""Level of a `log` event that holds lines as the run's engine printed them."""


class EventType(StrEnum):
    """Type of an event in a job's stream."""

    STATE = "state"
    """data: {state, attempt, termination?}"""
    PHASE = "phase"
    """data: {phase, detail?}: start, parse, encode, search, verify, produce"""
    INCUMBENT = "incumbent"
    """data: an `Incumbent`"""
    LOG = "log"
    """data: {level, message}. Level `printed`: lines as an engine (HiGHS, SCIP, openEMS) printed
    them, at most 8 KiB an event; all of them together are `GET /v1/jobs/{id}/log`."""


class Event(WireModel):
    """An entry of a job's history. `seq` counts from 1 without gaps and is the SSE id."""

    model_config = _READ
    job_id: str
    """Id of the job."""
    seq: int
    """Number of the event, from 1."""
    type: EventType
    """Type of the event; decides the fields of `data`."""
    at: datetime
    """Time of the event (RFC 3339, UTC)."""
    data: dict[str, JsonValue]
    """Content of the event."""


class VerificationStatus(StrEnum):
    """Verdict of the independent check."""

    VALID = "valid"
    """The check confirmed the solution."""
    INVALID = "invalid"
    """The check refused the solution."""
    NOT_CHECKED = "not_checked"
    """Nothing was checked, for example because there is no solution."""


class Verification(WireModel):
    """Independent check of a solution. The search's claim and the check are separate fields."""

    model_config = _READ
    status: VerificationStatus
    """Verdict of the check."""
    method: str = ""
    """Method of the check, e.g. `rational arithmetic on the original file`."""
    claimed_objective: float | None = None
    """Objective that the search reported."""
    objective: float | None = None
    """Objective recomputed by the check."""
    objective_exact: str | None = None
    """The same as a ratio of integers `p/q`, when the check is exact."""
    max_violation: float | None = None
    """Largest violation of any row, bound or integrality; 0.0 means exactly feasible."""
    checks: dict[str, JsonValue] = Field(default_factory=dict)
    """Kind-specific figures of the check."""
    detail: Printable = ""
    """A sentence for people, for example the first fault."""


class RunResult(WireModel):
    """Result of a run, with what is needed to repeat it."""

    model_config = _READ
    kind: str
    """Kind of the job."""
    termination: Termination
    """Why the run ended."""
    sense: str = "minimize"
    """`minimize` or `maximize`."""
    objective: float | None = None
    """Objective of the solution. None: no solution."""
    bound: float | None = None
    """Proved bound on the objective. None: nothing is proved."""
    gap: float | None = None
    """Relative gap between `objective` and `bound`, as in the trace. None unless both exist."""
    primal_integral: float | None = None
    """Integral over the run of the primal gap to the final objective, seconds (the gap is 1 before
    the first solution)."""
    trace: list[Incumbent] = Field(default_factory=list)
    """Incumbents and bounds in the order of time."""
    verification: Verification
    """Independent check of the solution."""
    artifacts: dict[str, ArtifactRef] = Field(default_factory=dict)
    """Produced files by name, e.g. `solution.sol`."""
    alts: dict[str, str] = Field(default_factory=dict)
    """Text for readers who do not see a picture, by the name of its file."""
    summary: dict[str, JsonValue] = Field(default_factory=dict)
    """Kind-specific figures: sizes, counts of neighbourhoods, ..."""
    timings_s: dict[str, float] = Field(default_factory=dict)
    """Seconds by phase: parse, encode, search, verify."""
    seed: int
    """Seed of the job."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that took part, by name."""
    weights: dict[str, str] = Field(default_factory=dict)
    """sha256 of each weights file used."""
    _solution: SolutionValues | None = PrivateAttr(default=None)

    def value(self, variable: Any) -> float:
        """Return the value of a variable of the submitted model object, or of that name.

        Raises KeyError or TypeError for anything that is not a variable of the model, and
        ValueError for a run without a solution or a job that was submitted from a file.
        """
        return self._values().value(variable)

    def values(self) -> dict[str, float]:
        """Return every variable's value by its name; where that is empty or shared, by its name
        in the file."""
        return self._values().as_dict()

    def _values(self) -> SolutionValues:
        if self._solution is not None:
            return self._solution
        if SOLUTION_FILE not in self.artifacts:
            raise ValueError(
                "value: expected a run with a solution, got one that ended "
                f"{self.termination.reason}"
            )
        raise ValueError(
            "value: expected the result of a job submitted from a model object "
            "(IlpSpec.from_model) by this client, got another; "
            f"job.download({SOLUTION_FILE!r}) has the values by the names in the file"
        )


class Attempt(WireModel):
    """One run of a job by one worker."""

    model_config = _READ
    number: int
    """Number of the attempt, from 1; starts again after a retry."""
    fence: int
    """Fencing token of the claim; rises with every claim of the job."""
    worker: str
    """Name of the worker."""
    started_at: datetime
    """Start of the attempt."""
    ended_at: datetime | None = None
    """End of the attempt. None: it is running."""
    outcome: str | None = None
    """`result`, `failed`, `cancelled`, `lost`, `transient` or `handed_back`. None: it is
    running."""


class WebhookView(WireModel):
    """Delivery state of a job's webhook."""

    model_config = _READ
    url: str
    """Address that is called."""
    state: str
    """`not due`, `waiting` (for the next try), `delivered` or `given up`."""
    tries: int = 0
    """Number of calls so far."""
    detail: str = ""
    """Reason of the newest failure."""
    at: datetime | None = None
    """Time of the newest call."""


class RelatedJob(WireModel):
    """A job that another one waits for, or the other way round."""

    model_config = _READ
    job: str
    """Id of that job."""
    needs: Needs = Needs.SUCCESS
    """What is needed of the one that ends first."""
    state: StateView
    """State of that job."""


class JobView(WireModel):
    """Public view of a job."""

    model_config = _READ
    id: str
    """Id of the job."""
    kind: str
    """Kind of the job."""
    state: StateView
    """State of the job."""
    name: str = ""
    """Name that the owner gave; empty: none."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the request, or those that the owner set later."""
    priority: int = 0
    """Priority of the request."""
    seed: int = 0
    """Seed of the request."""
    budget: Budget
    """Limits of the run."""
    created_at: datetime
    """Time of the submit."""
    started_at: datetime | None = None
    """Start of the newest attempt."""
    finished_at: datetime | None = None
    """End of the job. None: it has not ended."""
    attempt: int = 0
    """Attempts so far."""
    max_attempts: int = 3
    """Limit of attempts."""
    stop_requested: bool = False
    """The owner called `stop`."""
    cancel_requested: bool = False
    """The owner called `cancel`."""
    waits: int = 0
    """Jobs that this one waits for and that have not ended."""
    after: list[RelatedJob] = Field(default_factory=list)
    """Jobs that this one waits for, or waited for; empty in lists."""
    needed_by: list[RelatedJob] = Field(default_factory=list)
    """Jobs that wait, or waited, for this one; empty in lists."""
    graph: str | None = None
    """Plan that this job belongs to, or its own id if it is a plan with jobs. None: neither."""
    phase: str | None = None
    """Phase of the run: start, parse, encode, search, verify or produce."""
    heartbeat_age_s: float | None = None
    """Seconds since the worker's last sign of life; None unless RUNNING."""
    best: Incumbent | None = None
    """Newest incumbent and bound."""
    termination: Termination | None = None
    """Why the run ended. None: it has not."""
    verification_status: VerificationStatus | None = None
    """Verdict of the independent check. None: no result."""
    webhook: WebhookView | None = None
    """None in lists, and for a job without a webhook."""
    links: dict[str, str] = Field(default_factory=dict)
    """Paths of related resources: self, events, input, page, result."""


class JobPage(WireModel):
    """A page of a listing; repeat the request with `cursor=next_cursor` until that is null."""

    model_config = _READ
    items: list[JobView]
    """The jobs, in the order of `sort`."""
    next_cursor: str | None = None
    """Cursor of the next page. None: this is the last."""


class ListView(WireModel):
    """A named filter and order of the job list."""

    model_config = _READ
    name: str
    """Name, unique in the tenant."""
    query: str
    """Query string of `GET /v1/jobs` and of the page."""
    created_at: datetime
    """Time when it was saved."""
    links: dict[str, str] = Field(default_factory=dict)
    """Paths of related resources: page, jobs."""


class FittedModelView(WireModel):
    """A fitted model of the tenant."""

    model_config = _READ
    id: str
    """Id of the model; a request names it as `model`."""
    target: str
    """Kind of job that it is for."""
    state: str
    """adopted, rejected or retired."""
    job: str
    """Job that fitted it; it may have been deleted."""
    created_at: datetime
    """Time of its registration."""
    size_bytes: int
    """Size of its file."""
    digest: str
    """`sha256:` and 64 hex digits of its file, which `GET /v1/artifacts/{digest}/content` sends."""
    scope: dict[str, JsonValue] = Field(default_factory=dict)
    """Inputs that it is for."""
    reasons: list[str] = Field(default_factory=list)
    """The decision of its card in words."""
    links: dict[str, str] = Field(default_factory=dict)
    """Paths: self, card, picture, page."""


class FittedModelPage(WireModel):
    """A page of fitted models; repeat with `cursor=next_cursor` until that is null."""

    model_config = _READ
    items: list[FittedModelView]
    """The models, newest first."""
    next_cursor: str | None = None
    """Cursor of the next page. None: this is the last."""


class KindView(WireModel):
    """A kind that the server offers, with the JSON schemas of its spec and request."""

    model_config = _READ
    kind: str
    """Word of the kind on the wire."""
    summary: str
    """One line for people."""
    diagnostic: bool = False
    """The kind tests the service itself."""
    spec_schema: dict[str, Any]
    """JSON schema of the spec."""
    request_schema: dict[str, Any]
    """JSON schema of the whole request."""
    example: dict[str, Any] | None = None
    """A complete request."""


class Problem(WireModel):
    """An error body (RFC 9457): what was expected, what was received, and the remedy."""

    model_config = _READ
    type: str
    """URI of the type of problem."""
    title: str
    """Name of the type of problem."""
    status: int
    """HTTP status."""
    detail: str
    """What was expected and what was received."""
    instance: str | None = None
    """Path of the request."""
    request_id: str | None = None
    """Id of the request, as in the server's log."""
    errors: list[dict[str, JsonValue]] = Field(default_factory=list)
    """Faults of an invalid body. Keys: `path`, `message`, the received value as `came`, and the
    expected one as `wanted`."""
    fix: str | None = None
    """Remedy."""
    retry_after_s: float | None = None
    """Seconds to wait before the next try."""
    error: dict[str, JsonValue] | None = None
    """The same for clients of OpenAI's API, on its routes only: message, type, param, code."""
