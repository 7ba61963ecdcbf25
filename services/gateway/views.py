"""Stored records as the JSON of the API (`trimtab.results`: JobView, Event, Attempt, JobRequest).

Plain dictionaries rather than pydantic models, because listings of hundreds of jobs are on the
hot path. Tests validate the output against the published models.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from services.store.types import AttemptRecord, EventRecord, JobRecord, ModelRecord
from trimtab.results import JobState
from trimtab.specs.common import MODEL_AUTO


class FastJson(Response):
    """JSON response, serialized by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Serialize `content`."""
        return orjson.dumps(content)


def when(us: int | None) -> str | None:
    """Format a time as RFC 3339 in UTC; None stays None."""
    if us is None:
        return None
    moment = datetime.datetime.fromtimestamp(us // 1_000_000, datetime.UTC).replace(
        microsecond=us % 1_000_000
    )
    return moment.isoformat().replace("+00:00", "Z")


def job_view(job: JobRecord, now_us: int) -> dict[str, Any]:
    """Return a job without spec and result."""
    base = f"/v1/jobs/{job.id}"
    links = {
        "self": base,
        "events": f"{base}/events",
        "input": f"{base}/input",
        "page": f"/jobs/{job.id}",
    }
    if job.state in (JobState.SUCCEEDED, JobState.FAILED):
        links["result"] = f"{base}/result"
    if job.has_memo:
        links["outline"] = f"{base}/outline"
    age = None
    if job.state is JobState.RUNNING and job.heartbeat_us is not None:
        age = max(0.0, (now_us - job.heartbeat_us) / 1e6)
    checked = (
        (job.result or {}).get("verification", {}).get("status") if job.result else None
    )
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "name": job.name,
        "labels": dict(job.labels),
        "priority": job.priority,
        "seed": job.seed,
        "budget": dict(job.budget),
        "created_at": when(job.created_us),
        "started_at": when(job.started_us),
        "finished_at": when(job.finished_us),
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "stop_requested": job.stop_requested,
        "cancel_requested": job.cancel_requested,
        "waits": job.waits,
        "graph": job.graph,
        "phase": job.phase,
        "heartbeat_age_s": age,
        "best": _without_pictures(job.best),
        "termination": dict(job.termination) if job.termination is not None else None,
        "verification_status": checked,
        "links": links,
    }


def _without_pictures(best: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the newest incumbent as listings show it: kilobytes of pictures are left out."""
    if best is None:
        return None
    return {key: value for key, value in best.items() if key != "pictures"}


def event_view(event: EventRecord) -> dict[str, Any]:
    """Return one event."""
    return {
        "job_id": event.job_id,
        "seq": event.seq,
        "type": event.type.value,
        "at": when(event.at_us),
        "data": dict(event.data),
    }


def attempt_view(attempt: AttemptRecord) -> dict[str, Any]:
    """Return one attempt."""
    return {
        "number": attempt.number,
        "fence": attempt.fence,
        "worker": attempt.worker,
        "started_at": when(attempt.started_us),
        "ended_at": when(attempt.ended_us),
        "outcome": attempt.outcome,
    }


def input_view(job: JobRecord, model: str = MODEL_AUTO) -> dict[str, Any]:
    """Return the request that repeats this job: POST it to /v1/jobs.

    model: its choice among fitted models; left out, as the name is, where it is the default, for
    older clients.
    """
    chosen = {} if model == MODEL_AUTO else {"model": model}
    if job.name:
        chosen["name"] = job.name
    return chosen | {
        "kind": job.kind,
        "spec": dict(job.spec),
        "budget": dict(job.budget),
        "seed": job.seed,
        "priority": job.priority,
        "labels": dict(job.labels),
        "max_attempts": job.max_attempts,
        "webhook": dict(job.webhook) if job.webhook is not None else None,
    }


def fitted_model_view(model: ModelRecord) -> dict[str, Any]:
    """Return a fitted model without the rows of its card."""
    base = f"/v1/fitted-models/{model.id}"
    links = {"self": base, "card": f"{base}/card", "page": f"/models/{model.id}"}
    if model.picture is not None:
        links["picture"] = f"{base}/picture"
    return {
        "id": model.id,
        "target": model.target,
        "state": model.state.value,
        "job": model.job_id,
        "created_at": when(model.created_us),
        "size_bytes": model.size_bytes,
        "digest": model.digest,
        "scope": model.card.get("scope", {}),
        "reasons": list(model.card.get("reasons", ())),
        "links": links,
    }
