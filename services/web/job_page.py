"""The page of one job as plain values for `job.html`. Pure: no store, no request."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from services.store.types import AttemptRecord, EventRecord, JobRecord, Relatives
from services.web import formatting, kind_results
from services.web.compile_result import split_sizes
from services.web.headlines import PICTURES_FIRST, headline, named_bands
from services.web.job_model import take_fitted_model
from services.web.job_rows import (
    LATE_HEARTBEAT_S,
    heartbeat_age_s,
    pending_request,
    run_time_s,
)
from services.web.timeline import timeline
from trimtab.certificates import MODEL, certified
from trimtab.results import PRINTED, EventType, JobState, VerificationStatus
from trimtab.specs.learn import LearnSpec

Json = Mapping[str, Any]

MAX_COLUMNS = 12  # of a table in the summary
MAX_POINTS = 200  # rows of the incumbent table
MAX_LOGS = 200
MAX_RELATED = 50  # jobs listed that this one waits for, or that wait for it
OPEN_POINTS = 12  # an incumbent table of at most this many rows starts unfolded

_VERDICTS: Mapping[str, str] = {
    VerificationStatus.VALID: "Valid",
    VerificationStatus.INVALID: "Invalid",
    VerificationStatus.NOT_CHECKED: "Not checked",
}
_OUTCOMES: Mapping[str | None, str] = {
    None: "running",
    "result": "returned a result",
    "failed": "failed",
    "cancelled": "cancelled",
    "lost": "worker lost",
    "transient": "temporary failure of the service",
    "rested": "went to rest",
    "handed_back": "returned to the queue at shutdown",
}


def job_page(
    job: JobRecord,
    *,
    events: Sequence[EventRecord],
    attempts: Sequence[AttemptRecord],
    now_us: int,
) -> SimpleNamespace:
    """Return everything the page of one job shows. `events`: the newest ones, ascending."""
    result: Json = job.result or {}
    points, cut = _points(result, events, job.best or {})
    filled = {
        key for point in points for key, value in point.items() if value is not None
    }
    logs = [
        _log(event)
        for event in events
        if event.type is not EventType.INCUMBENT and event.data.get("level") != PRINTED
    ]
    return SimpleNamespace(
        **_request(job),
        **_status(job, now_us),
        **figures_of(job, now_us),
        **_outputs(job),
        points=points,
        points_cut=cut,
        point_columns=filled,
        open_table=len(points) <= OPEN_POINTS,
        attempts=[_attempt(attempt, now_us) for attempt in attempts],
        timeline=timeline(job, attempts, events, now_us),
        logs=logs[-MAX_LOGS:],
        phase_detail=_phase_detail(events),
    )


def _phase_detail(events: Sequence[EventRecord]) -> str:
    """Return what the run does or waits for within its newest phase."""
    for event in reversed(events):
        if event.type is EventType.PHASE:
            return str(event.data.get("detail") or "")
    return ""


def related_jobs(relatives: Relatives) -> list[SimpleNamespace]:
    """Return the lists of jobs that this one waits for, and that wait for it; no empty one."""
    groups = (
        ("Waits for", relatives.parents),
        ("Needed by", relatives.children),
    )
    return [
        SimpleNamespace(
            title=title,
            count=len(others),
            jobs=[
                SimpleNamespace(
                    id=job_id,
                    state=state.value,
                    state_words=formatting.STATE_WORDS[state],
                    any_end=not needs_success,
                )
                for job_id, (needs_success, state) in islice(others.items(), MAX_RELATED)
            ],
        )
        for title, others in groups
        if others
    ]


def _request(job: JobRecord) -> dict[str, Any]:
    """Return what the owner submitted."""
    text = {"spec": job.spec, "budget": job.budget}
    return {
        "id": job.id,
        "name": job.name,
        "plan": job.graph if job.graph != job.id else None,
        "kind": job.kind,
        "tenant": job.tenant,
        "labels": dict(job.labels),
        "created_us": job.created_us,
        "seed": job.seed,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "budget_seconds": job.budget.get("seconds"),
        "inputs": list(_inputs(job.spec)),
        "spec_text": json.dumps(text, indent=2, ensure_ascii=False, default=dict),
    }


def _status(job: JobRecord, now_us: int) -> dict[str, Any]:
    """Return the state, the actions it allows, and the reason of the end."""
    beat_s = heartbeat_age_s(job, now_us)
    return {
        "state": job.state.value,
        "state_words": formatting.STATE_WORDS[job.state],
        "terminal": job.state.is_terminal,
        "pending": pending_request(job),
        # A plan whose jobs run can be stopped while it waits for them.
        "can_stop": (
            job.state is JobState.RUNNING
            or (job.state is JobState.WAITING and job.graph == job.id)
        )
        and not (job.stop_requested or job.cancel_requested),
        "can_cancel": not job.state.is_terminal and not job.cancel_requested,
        "can_retry": job.state in (JobState.FAILED, JobState.CANCELLED, JobState.DEAD),
        "phase": job.phase,
        "heartbeat": None if beat_s is None else f"{round(beat_s)} s ago",
        "heartbeat_late": beat_s is not None and beat_s > LATE_HEARTBEAT_S,
        "waits": _waits(job, now_us),
        "termination": formatting.termination(job.termination),
        "detail": (job.termination or {}).get("detail", ""),
    }


def figures_of(job: JobRecord, now_us: int) -> dict[str, Any]:
    """Return objective, bound and gap: those of the result, else of the incumbent.

    A result with a certificate shows the certificate's bound and gap.
    """
    result = job.result or None
    final: Json = result or job.best or {}
    model = certified(result)
    return {
        "target": job.spec.get("target") if job.kind == LearnSpec.KIND else None,
        "objective": _objective(job, final.get("objective")),
        "bound": final.get("bound") if model is None else model.bound,
        "gap": final.get("gap") if model is None else model.gap,
        "bound_of": "" if model is None else MODEL,
        "sense": (result or {}).get("sense", "minimize"),
        "ran": formatting.seconds(run_time_s(job, now_us)),
    }


def _objective(job: JobRecord, value: float | None) -> float | None:
    """Return the objective; the mean of measurements that a learn job has, with three digits."""
    if job.kind != LearnSpec.KIND or value is None or not math.isfinite(value):
        return value
    return float(f"{value:.3g}")


def _outputs(job: JobRecord) -> dict[str, Any]:
    """Return what the result holds: verification, files, timings, summary, versions."""
    result: Json = job.result or {}
    summary: dict[str, Any] = dict(result.get("summary", {}))
    fitted = take_fitted_model(summary)
    tables = [
        _table(key, rows)
        for key, rows in ((key, as_rows(value)) for key, value in summary.items())
        if is_table(rows)
    ]
    sizes, others = split_sizes(job.kind, tables)
    files = [
        _file(job.id, name, reference, result.get("alts", {}))
        for name, reference in result.get("artifacts", {}).items()
    ]
    return {
        "result": None
        if not result
        else SimpleNamespace(primal_integral=result.get("primal_integral")),
        "verification": _verification(result.get("verification"), job.spec),
        "produced": files,
        "drawn": [file for file in files if file.picture and not file.curve],
        "timings": _timings(result.get("timings_s", {})),
        "fitted": fitted,
        "headline": headline(job.kind, job.result, job.spec),
        "pictures_first": job.kind in PICTURES_FIRST,
        "summary": kind_results.facts(
            {key: value for key, value in summary.items() if not is_table(as_rows(value))}
        ),
        "pictures": _pictures(job),
        "size_tables": sizes,
        "tables": others,
        "versions": result.get("versions", {}),
    }


def as_rows(value: Any) -> Any:
    """Turn an object of objects, e.g. figures by LNS arm, into a list of named objects."""
    if not isinstance(value, Mapping) or len(value) < 2:
        return value
    if not all(isinstance(row, Mapping) and "name" not in row for row in value.values()):
        return value
    return [{"name": name, **row} for name, row in value.items()]


def is_table(value: Any) -> bool:
    """Return True for a list of flat objects that is small enough to show as a table."""
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


def _table(name: str, rows: Sequence[Json]) -> SimpleNamespace:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return SimpleNamespace(
        name=name,
        columns=[
            kind_results.table_column(column, [row.get(column) for row in rows])
            for column in columns
        ],
        rows=[
            [kind_results.measured(column, row.get(column)) for column in columns]
            for row in rows
        ],
    )


def _waits(job: JobRecord, now_us: int) -> str:
    if job.state is JobState.WAITING:
        return f"waiting for {job.waits} {'job' if job.waits == 1 else 'jobs'} to end"
    if job.state is not JobState.QUEUED:
        return ""
    if job.run_at_us > now_us:
        wait_s = (job.run_at_us - now_us) / formatting.US
        return f"next attempt in {formatting.seconds(wait_s)}"
    return "waiting for a free worker"


def _points(
    result: Json, events: Sequence[EventRecord], best: Json
) -> tuple[list[dict[str, Any]], bool]:
    """Return (incumbents, newest first; True if older ones were cut off)."""
    trace: list[Json] = list(result.get("trace", ()))
    if not trace:
        for event in events:
            if (
                event.type is EventType.STATE
                and event.data.get("state") == JobState.RUNNING.value
            ):
                trace = []  # a new attempt has no incumbent yet
            elif event.type is EventType.INCUMBENT:
                trace.append(event.data)
    if not trace and best:
        trace = [best]
    keys = ("elapsed_s", "objective", "bound", "gap", "source")
    rows = [
        {key: point.get(key) for key in keys} for point in reversed(trace[-MAX_POINTS:])
    ]
    return rows, len(trace) > MAX_POINTS


def _verification(value: Json | None, spec: Json) -> SimpleNamespace | None:
    if not value:
        return None
    checks, tables = _split_tables(named_bands(value.get("checks") or {}, spec))
    status = str(value.get("status", "not_checked"))
    return SimpleNamespace(
        status=status if status in _VERDICTS else "not_checked",
        words=_VERDICTS.get(status, status),
        method=value.get("method", ""),
        claimed_objective=value.get("claimed_objective"),
        objective=value.get("objective"),
        objective_exact=value.get("objective_exact"),
        max_violation=value.get("max_violation"),
        checks=kind_results.flattened(checks),
        tables=tables,
        detail=value.get("detail", ""),
    )


def _pictures(job: JobRecord) -> list[SimpleNamespace]:
    """Return the pictures of the newest incumbent; none once the result's files show it."""
    if job.result:
        return []
    best = job.best or {}
    return [
        SimpleNamespace(
            # `at` changes with the incumbent, so that the browser asks again.
            href=f"/v1/jobs/{job.id}/pictures/{number}?at={best.get('elapsed_s')}",
            title=picture.get("title", ""),
            alt=picture.get("alt", ""),
        )
        for number, picture in enumerate(best.get("pictures", ()))
    ]


def _split_tables(
    checks: Json, prefix: str = ""
) -> tuple[dict[str, Any], list[SimpleNamespace]]:
    """Return (figures, tables) of a check: lists of flat objects, at depth one or two."""
    plain: dict[str, Any] = {}
    tables: list[SimpleNamespace] = []
    for key, value in checks.items():
        if is_table(value):
            tables.append(_table(f"{prefix}{key}", value))
        elif isinstance(value, Mapping) and not prefix:
            rest, inner = _split_tables(value, f"{key}: ")
            plain[key] = rest
            tables += inner
        else:
            plain[key] = value
    return plain, tables


def _file(job_id: str, name: str, reference: Json, alts: Json) -> SimpleNamespace:
    return SimpleNamespace(
        alt=alts.get(name) or f"{name}; the result below has its numbers",
        name=name,
        size=formatting.size(reference.get("size_bytes")),
        href=f"/v1/jobs/{job_id}/artifacts/{quote(name, safe='')}",
        picture=reference.get("media_type") == "image/svg+xml",
        curve=name == "curve.svg",  # the page draws this curve itself
    )


def _inputs(spec: Json, path: str = "") -> list[SimpleNamespace]:
    """Return the uploaded files in a spec, at any depth: objects with a digest."""
    files: list[SimpleNamespace] = []
    for key, value in spec.items():
        if not isinstance(value, Mapping):
            continue
        where = f"{path}.{key}" if path else key
        digest = value.get("digest")
        if isinstance(digest, str) and digest.startswith("sha256:"):
            files.append(
                SimpleNamespace(
                    input=where,
                    name=value.get("name") or digest,
                    size=formatting.size(value.get("size_bytes")),
                    href=f"/v1/artifacts/{quote(digest, safe=':')}/content",
                )
            )
        else:
            files += _inputs(value, where)
    return files


def _timings(timings: Mapping[str, float]) -> list[SimpleNamespace]:
    total = sum(timings.values()) or 1.0
    return [
        SimpleNamespace(name=name, seconds=spent, share=spent / total)
        for name, spent in timings.items()
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
        message = str(data.get("state", "")).lower().replace("_", " ")
        if data.get("attempt"):
            message += f", attempt {data['attempt']}"
    elif event.type is EventType.PHASE:
        message = ": ".join(
            str(data[key]) for key in ("phase", "detail") if data.get(key)
        )
    else:
        message = str(data.get("message", ""))
    level = str(data.get("level", "")) if event.type is EventType.LOG else ""
    at = datetime.fromtimestamp(event.at_us / formatting.US, UTC)
    return SimpleNamespace(
        at_us=event.at_us,
        clock=at.strftime("%H:%M:%S"),
        category=level or event.type.value,
        css=level if level in ("warning", "error") else event.type.value,
        message=message,
    )
