"""Jobs as rows of tables: the job list and the workers page. Pure: no store, no request."""

from __future__ import annotations

from types import SimpleNamespace

from services.store.types import JobRecord
from services.web import formatting
from services.web.answers import shorten
from trimtab.certificates import MODEL
from trimtab.results import JobState

MAX_FAILURE = 160  # characters of a failure in the list; the job's page has all
_WITHOUT_RESULT = (JobState.FAILED, JobState.DEAD, JobState.SKIPPED)
LATE_HEARTBEAT_S = 15.0  # workers send one every few seconds; older ones are highlighted


def job_row(job: JobRecord, now_us: int, *, unit: str = "") -> SimpleNamespace:
    """Return a row of the job list. `unit`: of the objective and the bound."""
    best = job.best or {}
    certificate = best.get("certificate") or {}
    return SimpleNamespace(
        id=job.id,
        name=job.name,
        kind=job.kind,
        state=job.state.value,
        state_words=formatting.STATE_WORDS[job.state],
        pending=pending_request(job),
        labels=dict(job.labels),
        failure=failure(job),
        objective=best.get("objective"),
        unit=unit,
        bound=certificate.get("bound", best.get("bound")),
        gap=certificate.get("gap", best.get("gap")),
        bound_of=MODEL if certificate else "",
        ran=formatting.seconds(run_time_s(job, now_us)),
        created_us=job.created_us,
        created=formatting.since(now_us, job.created_us),
    )


def failure(job: JobRecord) -> str:
    """Return why a job ended without a result, in a line; "" for every other job."""
    if job.state not in _WITHOUT_RESULT or not job.termination:
        return ""
    reason = str(job.termination.get("reason", "")).replace("_", " ")
    detail = " ".join(str(job.termination.get("detail", "")).split())
    text = f"{reason}: {detail}" if detail else reason
    return shorten(text, MAX_FAILURE)


def lease_row(job: JobRecord, now_us: int) -> SimpleNamespace:
    """Return a running job as a row of the workers page."""
    beat_s = heartbeat_age_s(job, now_us)
    left_s = (
        None
        if job.lease_until_us is None
        else (job.lease_until_us - now_us) / formatting.US
    )
    return SimpleNamespace(
        id=job.id,
        owner=job.owner or "–",
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        phase=job.phase or "–",
        heartbeat="–" if beat_s is None else f"{beat_s:.0f} s ago",
        late=beat_s is not None and beat_s > LATE_HEARTBEAT_S,
        lease="–"
        if left_s is None
        else ("expired" if left_s <= 0 else f"in {left_s:.0f} s"),
    )


def pending_request(job: JobRecord) -> str:
    """Return `stopping` or `cancelling` while a request of the owner is pending, else ""."""
    if job.state.is_terminal:
        return ""
    if job.cancel_requested:
        return "cancelling"
    return "stopping" if job.stop_requested else ""


def heartbeat_age_s(job: JobRecord, now_us: int) -> float | None:
    """Return the seconds since the last heartbeat of a job that has not ended."""
    if job.heartbeat_us is None or job.state.is_terminal:
        return None
    return max(0.0, (now_us - job.heartbeat_us) / formatting.US)


def run_time_s(job: JobRecord, now_us: int) -> float | None:
    """Return the seconds that the newest attempt ran; None while none runs."""
    idle = job.state in (JobState.QUEUED, JobState.WAITING) or job.state.is_resting
    if job.started_us is None or idle:
        return None
    return max(0, (job.finished_us or now_us) - job.started_us) / formatting.US
