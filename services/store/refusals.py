"""Errors and input checks common to all stores."""

from __future__ import annotations

from collections.abc import Sequence

from services.errors import BadRequest, Conflict, NotFound
from services.store import codec
from services.store.types import Idempotency, JobRecord, ModelRecord, ModelState, NewJob


def no_such_job(job_id: str) -> NotFound:
    """Build the error of an unknown job, also of one that belongs to another tenant."""
    return NotFound(
        f"no job {job_id!r}", fix="check the id; deleted jobs cannot be restored"
    )


def no_such_view(name: str) -> NotFound:
    """Build the error of a saved view that this tenant does not have."""
    return NotFound(f"no saved view {name!r}", fix="list the views: GET /v1/views")


def too_many_views(most: int) -> Conflict:
    """Build the error of one saved view too many."""
    return Conflict(
        f"saved views: expected at most {most} for a tenant, got one more",
        fix="delete a view: DELETE /v1/views/{name}",
    )


def no_such_artifact(digest: str) -> NotFound:
    """Build the error of a file that this tenant does not have."""
    return NotFound(
        f"no artifact {digest!r}",
        fix="upload the file again; files that no job refers to are removed after some days",
    )


def nothing_to_send(job: JobRecord) -> Conflict:
    """Build the error of a re-send for a job without a webhook, or that has not ended."""
    got = "one without a webhook" if job.webhook is None else f"a {job.state.value} job"
    return Conflict(
        f"job {job.id}: expected an ended job with a webhook, got {got}",
        fix="wait until it has ended"
        if job.webhook is not None
        else "submit it with `webhook`",
    )


def dead_key(key_id: str, why: str) -> Conflict:
    """Build the error of a rotation of a key that does not work any more."""
    return Conflict(
        f"key {key_id}: expected one that works, got one that {why}",
        fix="make a new key: POST /v1/keys",
    )


def file_in_use(digest: str, user: str) -> Conflict:
    """Build the error of a file that cannot be deleted yet."""
    return Conflict(
        f"artifact {digest}: expected a file that no active job and no model uses, got one of "
        f"{user}",
        fix="wait until the job has ended, or cancel it"
        if user.startswith("job_")
        else "keep it: jobs use this model",
    )


def no_such_model(model_id: str) -> NotFound:
    """Build the error of an unknown model, also of one that belongs to another tenant."""
    return NotFound(
        f"no model {model_id!r}", fix="list the models: GET /v1/fitted-models"
    )


def require_retirable(model: ModelRecord) -> None:
    """Raise Conflict for a model that no job uses anyway."""
    if model.state is ModelState.REJECTED:
        raise Conflict(
            f"model {model.id}: expected an adopted model, got a rejected one",
            fix="leave it: no job uses a rejected model",
        )


def no_such_key(key_id: str) -> NotFound:
    """Build the error of an unknown API key."""
    return NotFound(f"no API key {key_id!r}", fix="list the keys to see their ids")


def key_exists(key_id: str) -> Conflict:
    """Build the error of an API key id that is in use."""
    return Conflict(
        f"an API key with id {key_id!r} exists already", fix="make a key with another id"
    )


def require_same_request(idempotency: Idempotency, stored_digest: str) -> None:
    """Raise Conflict if a key was used before with another body."""
    if idempotency.request_digest != stored_digest:
        raise Conflict(
            f"Idempotency-Key: expected the body that {idempotency.key!r} was first used with, "
            "got another",
            fix="repeat the first body to get its answer, or use a new key for a new request",
        )


def replay_of_deleted(job_id: str, key: str) -> Conflict:
    """Build the error of a replay whose job was deleted: a late retry must not run it again."""
    return Conflict(
        f"idempotency key {key!r} belongs to job {job_id}, which was deleted",
        fix="use a new idempotency key to run the request again",
    )


def sole_tenant(jobs: Sequence[NewJob]) -> str:
    """Return the tenant of a batch. Raises BadRequest if there are several.

    An idempotency key belongs to one tenant.
    """
    tenants = {job.tenant for job in jobs}
    if len(tenants) != 1:
        raise BadRequest(
            f"jobs: expected one tenant per batch, got {len(tenants)}: {sorted(tenants)[:3]}"
        )
    return tenants.pop()


def require_storable(*, jobs: Sequence[NewJob], idempotency: Idempotency | None) -> None:
    """Raise BadRequest for text that no database accepts, before anything is written."""
    texts = (
        [idempotency.key, idempotency.request_digest] if idempotency is not None else []
    )
    for job in jobs:
        texts += (
            job.tenant,
            job.kind,
            job.name,
            *job.labels.keys(),
            *job.labels.values(),
            *job.artifacts,
            *map(str, job.parents),
            *(file.output for file in job.inputs),
        )
    for index, job in enumerate(jobs):
        require_earlier(index, job.parents)
    for text in texts:
        if not codec.is_storable(text):
            raise BadRequest(
                f"expected text without NUL and lone surrogates, got {text!r}",
                fix="remove these characters",
            )


def require_earlier(index: int, parents: Sequence[str | int]) -> None:
    """Raise BadRequest if job `index` of a submit names one that does not come before it."""
    for parent in parents:
        if isinstance(parent, int) and not 0 <= parent < index:
            raise BadRequest(
                f"jobs.{index}: expected an earlier job of this batch "
                f"({f'#0 to #{index - 1}' if index else 'the first has none'}), "
                f"got #{parent}",
                fix="order the jobs so that each names only earlier ones; a cycle cannot run",
            )
