"""Stored records as the templates show them. Pure: no store, no request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from services.store.types import AttemptRecord, EventRecord, JobRecord
from services.web import formatting
from trimtab.certificates import MODEL, certified
from trimtab.results import EventType, JobState, VerificationStatus

MAX_LISTED = 12  # values of a list in a summary
MAX_COLUMNS = 12  # of a table in a summary
MAX_POINTS = 200  # rows of the incumbent table
MAX_LOGS = 200
LATE_HEARTBEAT_S = 15.0  # a worker beats every few seconds: more is worth a colour

_VERDICTS: Mapping[str, str] = {
    VerificationStatus.VALID: "Valid",
    VerificationStatus.INVALID: "Invalid",
    VerificationStatus.NOT_CHECKED: "Not checked",
}
_OUTCOMES: Mapping[str | None, str] = {
    None: "running",
    "result": "brought a result",
    "failed": "failed",
    "cancelled": "cancelled",
    "lost": "lost with its worker",
    "transient": "passing fault of the service",
}


def job_row(job: JobRecord, now_us: int) -> SimpleNamespace:
    """A line of the job list."""
    best = job.best or {}
    model = best.get("certificate") or {}
    return SimpleNamespace(
        id=job.id,
        kind=job.kind,
        state=job.state.value,
        state_words=formatting.STATE_WORDS[job.state],
        asked=_asked(job),
        labels=dict(job.labels),
        objective=best.get("objective"),
        bound=model.get("bound", best.get("bound")),
        gap=model.get("gap", best.get("gap")),
        bound_of=MODEL if model else "",
        ran=formatting.seconds(_ran_s(job, now_us)),
        created_us=job.created_us,
        created=formatting.since(now_us, job.created_us),
    )


def job_page(
    job: JobRecord,
    *,
    events: Sequence[EventRecord],
    attempts: Sequence[AttemptRecord],
    now_us: int,
) -> SimpleNamespace:
    """Everything the page of one job shows. `events` are the newest ones, ascending."""
    result = dict(job.result) if job.result else None
    best = job.best or {}
    final = result or best
    points, cut = _points(result, events, best)
    model = certified(result)
    beat_s = (
        None
        if job.heartbeat_us is None or job.state.is_terminal
        else (now_us - job.heartbeat_us) / formatting.US
    )
    return SimpleNamespace(
        id=job.id,
        kind=job.kind,
        tenant=job.tenant,
        state=job.state.value,
        state_words=formatting.STATE_WORDS[job.state],
        terminal=job.state.is_terminal,
        asked=_asked(job),
        can_stop=job.state is JobState.RUNNING
        and not (job.stop_requested or job.cancel_requested),
        can_cancel=not job.state.is_terminal and not job.cancel_requested,
        can_retry=job.state in (JobState.FAILED, JobState.CANCELLED, JobState.DEAD),
        labels=dict(job.labels),
        phase=job.phase,
        heartbeat=None if beat_s is None else f"{max(0, round(beat_s))} s ago",
        heartbeat_late=beat_s is not None and beat_s > LATE_HEARTBEAT_S,
        waits=_waits(job, now_us),
        termination=formatting.termination(job.termination),
        detail=(job.termination or {}).get("detail", ""),
        objective=final.get("objective"),
        bound=final.get("bound") if model is None else model.bound,
        gap=final.get("gap") if model is None else model.gap,
        bound_of="" if model is None else MODEL,
        sense=(result or {}).get("sense", "minimize"),
        ran=formatting.seconds(_ran_s(job, now_us)),
        budget_seconds=job.budget.get("seconds"),
        result=None
        if result is None
        else SimpleNamespace(primal_integral=result.get("primal_integral")),
        points=points,
        points_cut=cut,
        open_table=len(points) <= 12,
        verification=_verification((result or {}).get("verification")),
        produced=[
            SimpleNamespace(
                name=name,
                size=formatting.size(ref.get("size_bytes")),
                href=f"/v1/jobs/{job.id}/artifacts/{quote(name, safe='')}",
                picture=ref.get("media_type") == "image/svg+xml",
                curve=name == "curve.svg",  # what the chart of the page shows already
            )
            for name, ref in (result or {}).get("artifacts", {}).items()
        ],
        inputs=list(_inputs(job.spec)),
        timings=_timings((result or {}).get("timings_s", {})),
        summary=[
            (k, flat(v))
            for k, v in (result or {}).get("summary", {}).items()
            if not is_table(v)
        ],
        tables=[
            _table(k, v)
            for k, v in (result or {}).get("summary", {}).items()
            if is_table(v)
        ],
        versions=(result or {}).get("versions", {}),
        attempts=[_attempt(attempt, now_us) for attempt in attempts],
        max_attempts=job.max_attempts,
        logs=[_log(event) for event in events if event.type is not EventType.INCUMBENT][
            -MAX_LOGS:
        ],
        created_us=job.created_us,
        seed=job.seed,
        priority=job.priority,
        spec_text=json.dumps(
            {"spec": job.spec, "budget": job.budget},
            indent=2,
            ensure_ascii=False,
            default=dict,
        ),
    )


def lease_row(job: JobRecord, now_us: int) -> SimpleNamespace:
    """A running job on the workers page."""
    beat_s = (
        None
        if job.heartbeat_us is None
        else max(0.0, (now_us - job.heartbeat_us) / formatting.US)
    )
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
        heard="–" if beat_s is None else f"{beat_s:.0f} s ago",
        late=beat_s is not None and beat_s > LATE_HEARTBEAT_S,
        lease="–"
        if left_s is None
        else ("run out" if left_s <= 0 else f"in {left_s:.0f} s"),
    )


def is_table(value: Any) -> bool:
    """Whether a value of a summary is a list of flat objects with the same keys: shown as a table."""
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(row, Mapping) for row in value)
    ):
        return False
    scalar = all(
        not isinstance(cell, Mapping | list) for row in value for cell in row.values()
    )
    return scalar and 0 < len(value[0]) <= MAX_COLUMNS and len(value) <= MAX_POINTS


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> SimpleNamespace:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return SimpleNamespace(
        name=name,
        columns=columns,
        rows=[[flat(row.get(column)) for column in columns] for row in rows],
    )


def flat(value: Any) -> str:
    """A value of a summary in one line of text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return formatting.number(value)
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {flat(inner)}" for key, inner in value.items()) or "–"
    if len(value) > MAX_LISTED:
        return f"{len(value)} values, in the result"
    return ", ".join(flat(inner) for inner in value) or "–"


def _asked(job: JobRecord) -> str:
    if job.state.is_terminal:
        return ""
    if job.cancel_requested:
        return "cancelling"
    return "stopping" if job.stop_requested else ""


def _waits(job: JobRecord, now_us: int) -> str:
    if job.state is not JobState.QUEUED:
        return ""
    if job.run_at_us > now_us:
        return f"next attempt in {formatting.seconds((job.run_at_us - now_us) / formatting.US)}"
    return "waits for a free worker"


def _ran_s(job: JobRecord, now_us: int) -> float | None:
    if job.started_us is None or job.state is JobState.QUEUED:
        return None
    return max(0, (job.finished_us or now_us) - job.started_us) / formatting.US


def _points(
    result: Mapping[str, Any] | None, events: Sequence[EventRecord], best: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    trace: list[Mapping[str, Any]] = list((result or {}).get("trace", ()))
    if not trace:
        for event in events:
            if (
                event.type is EventType.STATE
                and event.data.get("state") == JobState.RUNNING.value
            ):
                trace = []  # a new attempt starts from nothing
            elif event.type is EventType.INCUMBENT:
                trace.append(event.data)
    if not trace and best:
        trace = [best]
    keys = ("elapsed_s", "objective", "bound", "gap", "source")
    rows = [
        {key: point.get(key) for key in keys} for point in reversed(trace[-MAX_POINTS:])
    ]
    return rows, len(trace) > MAX_POINTS


def _verification(value: Mapping[str, Any] | None) -> SimpleNamespace | None:
    if not value:
        return None
    status = str(value.get("status", "not_checked"))
    return SimpleNamespace(
        status=status if status in _VERDICTS else "not_checked",
        words=_VERDICTS.get(status, status),
        method=value.get("method", ""),
        claimed_objective=value.get("claimed_objective"),
        objective=value.get("objective"),
        objective_exact=value.get("objective_exact"),
        max_violation=value.get("max_violation"),
        checks={key: flat(inner) for key, inner in (value.get("checks") or {}).items()},
        detail=value.get("detail", ""),
    )


def _inputs(spec: Mapping[str, Any], path: str = "") -> list[SimpleNamespace]:
    """Uploaded files a spec refers to, wherever they are: an object with a digest is an ArtifactRef."""
    found: list[SimpleNamespace] = []
    for key, value in spec.items():
        if not isinstance(value, Mapping):
            continue
        where = f"{path}.{key}" if path else key
        digest = value.get("digest")
        if isinstance(digest, str) and digest.startswith("sha256:"):
            found.append(
                SimpleNamespace(
                    input=where,
                    name=value.get("name") or digest,
                    size=formatting.size(value.get("size_bytes")),
                    href=f"/v1/artifacts/{quote(digest, safe=':')}/content",
                )
            )
        else:
            found += _inputs(value, where)
    return found


def _timings(timings: Mapping[str, float]) -> list[SimpleNamespace]:
    total = sum(timings.values()) or 1.0
    return [
        SimpleNamespace(name=name, seconds=took, share=took / total)
        for name, took in timings.items()
    ]


def _attempt(attempt: AttemptRecord, now_us: int) -> SimpleNamespace:
    ran_s = ((attempt.ended_us or now_us) - attempt.started_us) / formatting.US
    return SimpleNamespace(
        number=attempt.number,
        worker=attempt.worker,
        ran=formatting.seconds(max(0.0, ran_s)),
        outcome=_OUTCOMES.get(attempt.outcome, attempt.outcome),
    )


def _log(event: EventRecord) -> SimpleNamespace:
    data = event.data
    if event.type is EventType.STATE:
        message = str(data.get("state", "")).lower()
        if data.get("attempt"):
            message += f", attempt {data['attempt']}"
    elif event.type is EventType.PHASE:
        message = " ".join(str(data[key]) for key in ("phase", "detail") if data.get(key))
    else:
        message = str(data.get("message", ""))
    level = str(data.get("level", "")) if event.type is EventType.LOG else ""
    return SimpleNamespace(
        at_us=event.at_us,
        clock=datetime.fromtimestamp(event.at_us / formatting.US, UTC).strftime("%H:%M:%S"),
        what=level or event.type.value,
        css=level if level in ("warning", "error") else event.type.value,
        message=message,
    )
