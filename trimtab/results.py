"""The wire contract of what comes back: states, terminations, events, verification, results."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, PrivateAttr

from trimtab.solution import SolutionValues
from trimtab.specs.common import ArtifactRef, Budget, WireModel

SOLUTION_FILE = "solution.json"

# Results are read back by older clients: they ignore fields they do not know.
_READ = ConfigDict(extra="ignore")


class JobState(StrEnum):
    """Where a job is. The arrows between states are `services.store.lifecycle`, and only those."""

    QUEUED = "QUEUED"
    """Stored, waiting for a worker (also between attempts)."""
    RUNNING = "RUNNING"
    """Held by one worker under a lease."""
    SUCCEEDED = "SUCCEEDED"
    """Ended with a result. A stopped job that keeps its best is one of these; so is a proof of infeasibility."""
    FAILED = "FAILED"
    """Ended by its own fault: the input or the problem. Running it again would end the same way."""
    CANCELLED = "CANCELLED"
    """Discarded by its owner."""
    DEAD = "DEAD"
    """Gave up after `max_attempts` runs lost to the service's own faults. `retry` re-drives it."""

    @property
    def is_terminal(self) -> bool:
        """True when nothing more happens by itself."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Reason(StrEnum):
    """Why a run ended. Nothing defaults to success."""

    OPTIMAL = "optimal"
    """Proved: no better solution exists within tolerance."""
    FEASIBLE = "feasible"
    """A limit was reached with a solution in hand; `limit` says which."""
    NO_SOLUTION_FOUND = "no_solution_found"
    """A limit was reached without a solution; nothing was proved."""
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    INFEASIBLE_OR_UNBOUNDED = "infeasible_or_unbounded"
    COMPLETED = "completed"
    """Did all its work; the kind has no notion of optimality."""
    INVALID_INPUT = "invalid_input"
    """The input could not be read or makes no sense."""
    INPUT_CRASHED_PARSER = "input_crashed_parser"
    """The native parser or solver died on this input (a signal, not a message)."""
    RESOURCE_EXHAUSTED = "resource_exhausted"
    """The run asked for more memory or file space than it may have."""
    NUMERICAL_ERROR = "numerical_error"
    VERIFICATION_FAILED = "verification_failed"
    """The search claimed a solution that the independent check refused."""
    CANCELLED = "cancelled"
    WORKER_LOST = "worker_lost"
    """The worker died or went silent."""
    INTERNAL_ERROR = "internal_error"
    """Our fault; the detail carries what to report."""


class Limit(StrEnum):
    """The limit that ended a run."""

    TIME = "time"
    EVALUATIONS = "evaluations"
    TARGET_GAP = "target_gap"
    STOPPED = "stopped"
    """The owner said `stop`: end now, keep the best."""
    MEMORY = "memory"
    ATTEMPTS = "attempts"
    OTHER = "other"


class Termination(WireModel):
    """Why a run ended, by which limit, and a sentence for people."""

    model_config = _READ
    reason: Reason
    limit: Limit | None = None
    detail: str = ""


class Incumbent(WireModel):
    """A point of the trace: the best known solution's objective and the proved bound at one moment."""

    model_config = _READ
    elapsed_s: Annotated[float, Field(ge=0)]
    """Seconds since the run began, on the worker's monotonic clock."""
    objective: float | None = None
    """None while no solution is known."""
    bound: float | None = None
    """Dual bound; None while nothing is proved."""
    gap: float | None = None
    """|objective - bound| / max(|objective|, |bound|), in [0, 1] when signs agree; None without both."""
    source: str = ""
    """What found it, e.g. `highs`, `lns:lb-relax`."""


class EventType(StrEnum):
    """What a job's event stream tells."""

    STATE = "state"
    """data: {state, attempt, termination?}"""
    PHASE = "phase"
    """data: {phase, detail?}: parse, encode, search, verify"""
    INCUMBENT = "incumbent"
    """data: an `Incumbent`"""
    LOG = "log"
    """data: {level, message}"""


class Event(WireModel):
    """One line of a job's history. `seq` counts from 1 without holes and is the SSE id."""

    model_config = _READ
    job_id: str
    seq: int
    type: EventType
    at: datetime
    data: dict[str, JsonValue]


class VerificationStatus(StrEnum):
    """What the independent check said."""

    VALID = "valid"
    INVALID = "invalid"
    NOT_CHECKED = "not_checked"


class Verification(WireModel):
    """Claimed and checked are different fields: `claimed_objective` came from the search, `objective` from the check."""

    model_config = _READ
    status: VerificationStatus
    method: str = ""
    """How it was checked, e.g. `rational arithmetic on the original file`."""
    claimed_objective: float | None = None
    objective: float | None = None
    """Recomputed without the search."""
    objective_exact: str | None = None
    """The same as a ratio of integers `p/q`, where the check is exact."""
    max_violation: float | None = None
    """Largest violation of any row, bound or integrality; 0.0 means exactly feasible."""
    checks: dict[str, JsonValue] = Field(default_factory=dict)
    detail: str = ""


class RunResult(WireModel):
    """Everything a run left, and enough to repeat it."""

    model_config = _READ
    kind: str
    termination: Termination
    sense: str = "minimize"
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    primal_integral: float | None = None
    """Integral of the primal gap to the final objective over the run, seconds (gap 1 before the first solution)."""
    trace: list[Incumbent] = Field(default_factory=list)
    verification: Verification
    artifacts: dict[str, ArtifactRef] = Field(default_factory=dict)
    """Produced files by name, e.g. `solution.sol`."""
    summary: dict[str, JsonValue] = Field(default_factory=dict)
    """Kind-specific figures: sizes, counts of neighbourhoods, ..."""
    timings_s: dict[str, float] = Field(default_factory=dict)
    """Seconds by phase: parse, encode, search, verify."""
    seed: int
    versions: dict[str, str] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)
    """sha256 of each weights file used."""
    _solution: SolutionValues | None = PrivateAttr(default=None)

    def value(self, variable: Any) -> float:
        """The value of a variable of the model object that was submitted, or of the variable of that name.

        Raises KeyError or TypeError for what is no variable of the model, ValueError when there is no solution.
        """
        return self._values().value(variable)

    def values(self) -> dict[str, float]:
        """Every variable's value, by the user's name (by the name in the file where that is empty or shared)."""
        return self._values().as_dict()

    def _values(self) -> SolutionValues:
        if self._solution is not None:
            return self._solution
        if SOLUTION_FILE not in self.artifacts:
            raise ValueError(
                f"value: expected a run with a solution, got one that ended {self.termination.reason}"
            )
        raise ValueError(
            "value: expected the result of a job submitted from a model object (IlpSpec.from_model) by this client, got "
            f"another; job.download({SOLUTION_FILE!r}) has the values by the names in the file"
        )


class Attempt(WireModel):
    """One run of a job by one worker."""

    model_config = _READ
    number: int
    fence: int
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None


class WebhookView(WireModel):
    """What became of a job's webhook."""

    model_config = _READ
    url: str
    state: str
    """`not due`, `waiting` (for the next try), `delivered` or `given up`."""
    tries: int = 0
    detail: str = ""
    """Why the newest try failed."""
    at: datetime | None = None


class JobView(WireModel):
    """A job as the API shows it."""

    model_config = _READ
    id: str
    kind: str
    state: JobState
    labels: dict[str, str] = Field(default_factory=dict)
    priority: int = 0
    seed: int = 0
    budget: Budget
    created_at: datetime
    started_at: datetime | None = None
    """Start of the newest attempt."""
    finished_at: datetime | None = None
    attempt: int = 0
    max_attempts: int = 3
    stop_requested: bool = False
    cancel_requested: bool = False
    phase: str | None = None
    heartbeat_age_s: float | None = None
    """Seconds since the worker last spoke; None unless RUNNING. A large number means trouble."""
    best: Incumbent | None = None
    termination: Termination | None = None
    verification_status: VerificationStatus | None = None
    webhook: WebhookView | None = None
    """Of a single job; None in lists and where no webhook was asked for."""
    links: dict[str, str] = Field(default_factory=dict)


class JobPage(WireModel):
    """One page of a listing; ask again with `cursor=next_cursor` until it is null."""

    model_config = _READ
    items: list[JobView]
    next_cursor: str | None = None


class KindView(WireModel):
    """A kind the server offers, with the JSON schema of its request."""

    model_config = _READ
    kind: str
    summary: str
    diagnostic: bool = False
    spec_schema: dict[str, Any]
    request_schema: dict[str, Any]
    example: dict[str, Any] | None = None


class Problem(WireModel):
    """An error body (RFC 9457): what came, what was wanted, what to do."""

    model_config = _READ
    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    request_id: str | None = None
    errors: list[dict[str, JsonValue]] = Field(default_factory=list)
    """For invalid bodies: {path, came, wanted} of each fault."""
    fix: str | None = None
    """What to do about it."""
    retry_after_s: float | None = None
