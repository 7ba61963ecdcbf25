"""What every store says in the same words: its refusals and its small checks of what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.errors import BadRequest, Conflict, NotFound
from services.store import codec
from services.store.types import Claim, Idempotency, JobRecord, NewJob


def no_such_job(job_id: str) -> NotFound:
    """Also for another tenant's job: who may not see it does not learn that it exists."""
    return NotFound(
        f"no job {job_id!r}", fix="Check the id; a deleted job is gone for good."
    )


def no_such_artifact(digest: str) -> NotFound:
    """No such file for this tenant."""
    return NotFound(
        f"no artifact {digest!r}",
        fix="Upload the file again; unused uploads are removed after a while.",
    )


def no_such_key(key_id: str) -> NotFound:
    """No such API key."""
    return NotFound(f"no API key {key_id!r}", fix="List the keys to see their ids.")


def key_exists(key_id: str) -> Conflict:
    """A key's public id is taken."""
    return Conflict(
        f"an API key with id {key_id!r} exists already",
        fix="Make a new key with another id.",
    )


def require_same_request(came: Idempotency, known_digest: str) -> None:
    """Raises Conflict when a key comes again with another body."""
    if came.request_digest != known_digest:
        raise Conflict(
            f"idempotency key {came.key!r} was used before with another body",
            fix="Send the first body again to get its answer, or use a new key for a new request.",
        )


def replay_of_deleted(job_id: str, key: str) -> Conflict:
    """A late retry must not run again what its owner has had run and deleted."""
    return Conflict(
        f"idempotency key {key!r} belongs to job {job_id}, which was deleted",
        fix="Use a new idempotency key to run the request again.",
    )


def sole_tenant(jobs: Sequence[NewJob]) -> str:
    """The tenant of a batch. Raises BadRequest on a mixed one: an idempotency key belongs to one tenant."""
    tenants = {job.tenant for job in jobs}
    if len(tenants) != 1:
        raise BadRequest(
            f"a batch belongs to one tenant; {len(tenants)} came: {sorted(tenants)[:3]}"
        )
    return tenants.pop()


def require_storable(*, jobs: Sequence[NewJob], idempotency: Idempotency | None) -> None:
    """Raises BadRequest on text no database takes, before anything is written."""
    texts = [idempotency.key, idempotency.request_digest] if idempotency is not None else []
    for job in jobs:
        texts += (
            job.tenant,
            job.kind,
            *job.labels.keys(),
            *job.labels.values(),
            *job.artifacts,
        )
    for text in texts:
        if not codec.is_storable(text):
            raise BadRequest(
                f"{text!r} holds a NUL or a lone surrogate, which cannot be stored",
                fix="Remove it.",
            )


def through_json(job: NewJob) -> NewJob:
    """`job` as it will be read back, so that nobody leans on an object that is shared by accident."""
    return replace(
        job,
        spec=codec.loads(codec.dumps(job.spec)),
        budget=codec.loads(codec.dumps(job.budget)),
        labels=dict(job.labels),
        webhook=codec.loads(codec.dumps(job.webhook)),
    )


def claim_of(job: JobRecord) -> Claim:
    """The lease on a job that was just claimed."""
    assert job.lease_until_us is not None
    return Claim(job=job, fence=job.fence, lease_until_us=job.lease_until_us)
