"""Use cases of the service, shared by API routes and web forms."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from services import tenancy
from services.bus import QUEUE
from services.dispatcher.retention import ClockJumped
from services.errors import BadRequest, Conflict, InvalidBody, TooManyRequests
from services.gateway.auth import SCOPES, new_key, new_secret, write_private
from services.gateway.deps import Context, Principal, visible_tenant
from services.gateway.filters import require_kinds
from services.gateway.listing import Listing
from services.gateway.views import when
from services.gateway.watch import Watch, watched
from services.plans.jobs import leaf_jobs
from services.store.blobs import UploadLimits
from services.store.types import (
    ApiKeyRecord,
    ArtifactRecord,
    Idempotency,
    JobRecord,
    SavedView,
    Submitted,
)
from services.store.upkeep import Deed
from services.submission import Submission, queued_jobs
from trimtab.faults import fault_of
from trimtab.results import Reason
from trimtab.specs.common import (
    MAX_NAME,
    ArtifactRef,
    DisplayName,
    JobChanges,
    JobRequest,
)
from trimtab.upkeep import RetentionReport, RetentionRule

MAX_VIEWS = 100  # saved views of a tenant
_VIEWS = "list the views: GET /v1/views"
_DISPLAY_NAME: TypeAdapter[str] = TypeAdapter(DisplayName)


def submission_of(context: Context, tenant: str) -> Submission:
    """Return where requests of a tenant go."""
    return Submission(
        store=context.store,
        kinds=context.kinds,
        tenant=tenant,
        webhook_hosts=context.settings.webhook_allowed_hosts,
    )


async def submit(
    context: Context,
    principal: Principal,
    requests: Sequence[JobRequest],
    *,
    idempotency_key: str | None,
) -> list[Submitted]:
    """Queue validated requests, all or none.

    Raises InvalidBody, TooManyRequests or Conflict.
    """
    per_minute = _submits_per_minute(context, principal)
    context.limiter.take(
        principal.key_id, "submits", per_minute=per_minute, count=len(requests)
    )
    submission = submission_of(context, principal.tenant)
    jobs = [await submission.new_job(requests, n) for n in range(len(requests))]
    await check_queue_quota(context, principal, len(jobs))
    idempotency = None
    if idempotency_key is not None:
        body = orjson.dumps(
            [request.model_dump(mode="json") for request in requests],
            option=orjson.OPT_SORT_KEYS,
        )
        idempotency = Idempotency(
            key=idempotency_key, request_digest=hashlib.sha256(body).hexdigest()
        )
    submitted = await context.store.submit_many(jobs, idempotency)
    if submitted and not submitted[0].replayed:
        for job in jobs:
            context.metrics.submits.labels(job.kind).inc()
        context.bus.notify(QUEUE)
    return submitted


def rate_headers(context: Context, principal: Principal) -> dict[str, str]:
    """Return the RateLimit headers: how much the caller's key may still submit."""
    per_minute = _submits_per_minute(context, principal)
    return context.limiter.headers(principal.key_id, "submits", per_minute=per_minute)


def _submits_per_minute(context: Context, principal: Principal) -> int:
    return principal.limits.get("submits_per_minute", context.settings.submits_per_minute)


async def check_queue_quota(context: Context, principal: Principal, count: int) -> None:
    """Raise TooManyRequests if `count` more jobs are beyond the tenant's quota."""
    quota = principal.limits.get("queued_jobs", context.settings.max_queued_jobs)
    # Counting costs a query, so it is skipped for small submits under a large quota.
    if quota >= 100_000 and count < 100:
        return
    queued = await queued_jobs(context.store, principal.tenant)
    if queued + count > quota:
        raise TooManyRequests(
            f"queued jobs: expected at most {quota} for this tenant, got {queued} and {count} more",
            fix="wait until some have run, or cancel some",
            retry_after_s=5.0,
        )


async def act(
    context: Context, principal: Principal, job_id: str, verb: str
) -> JobRecord:
    """Cancel, stop or retry a job. Raises NotFound or Conflict."""
    tenant = visible_tenant(principal)
    match verb:
        case "cancel":
            job = await context.store.request_cancel(job_id, tenant=tenant)
        case "stop":
            job = await context.store.request_stop(job_id, tenant=tenant)
        case "retry":
            job = await context.store.redrive(job_id, tenant=tenant)
        case _:
            raise ValueError(f"unknown verb {verb!r}: expected cancel, stop or retry")
    context.bus.notify(QUEUE)  # jobs that waited for this one may be due as well
    context.bus.notify(job_id)
    if job.graph == job.id:
        for leaf in (await leaf_jobs(context.store, job_id)).values():
            context.bus.notify(leaf.id)  # those that run were asked to end too
    return job


async def rename(
    context: Context, principal: Principal, job_id: str, changes: JobChanges
) -> JobRecord:
    """Change name or labels of a job. Raises NotFound."""
    tenant = visible_tenant(principal)
    job = await context.store.rename(job_id, changes, tenant=tenant)
    context.bus.notify(job_id)
    return job


def view_name(text: str) -> str:
    """Return the name of a view, without blanks around it. Raises BadRequest."""
    try:
        name = _DISPLAY_NAME.validate_python(text)
    except ValidationError as error:
        fault = fault_of(error.errors(include_url=False)[0])
        raise BadRequest(f"name: {fault}", fix=_VIEWS) from None
    if not name:
        raise BadRequest(
            f"name: expected 1 to {MAX_NAME} characters, got {text[:100]!r}", fix=_VIEWS
        )
    return name


async def save_view(
    context: Context, principal: Principal, *, name: str, query: str
) -> SavedView:
    """Save a view of the job list for the caller's tenant. Raises BadRequest or Conflict."""
    chosen = Listing.of_query(query)
    require_kinds(chosen.all("kind"), context.kinds)
    view = SavedView(
        tenant=principal.tenant,
        name=view_name(name),
        query=chosen.query(),
        created_us=await context.store.now_us(),
    )
    await context.store.put_view(view, most=MAX_VIEWS)
    return view


async def delete(context: Context, principal: Principal, job_id: str) -> None:
    """Delete an ended job. Raises NotFound or Conflict."""
    await context.store.delete(job_id, tenant=visible_tenant(principal))
    context.bus.notify(job_id)


async def webhook(context: Context, job: JobRecord) -> dict[str, Any] | None:
    """Return the delivery state of a job's webhook; None without one."""
    if job.webhook is None:
        return None
    record = await context.store.delivery(job.id)
    url = str(job.webhook["url"])
    if record is None:
        state = "waiting" if job.state.is_terminal else "not due"
        return {"url": url, "state": state, "tries": 0, "detail": "", "at": None}
    return {
        "url": url,
        "state": record.state,
        "tries": record.tries,
        "detail": record.detail,
        "at": when(record.at_us),
    }


async def result(context: Context, principal: Principal, job_id: str) -> JobRecord:
    """Return a job that has a result. Raises NotFound or Conflict."""
    job = await context.store.get(job_id, tenant=visible_tenant(principal))
    if job.result is None:
        why = f": {job.termination.get('detail')}" if job.termination else ""
        raise Conflict(
            f"job {job_id}: expected one with a result, got a {job.state.value} job{why}",
            fix=_fix_of_no_result(job),
        )
    return job


def _fix_of_no_result(job: JobRecord) -> str:
    if not job.state.is_terminal:
        return "wait for it: GET /v1/jobs/{id}/wait"
    if (job.termination or {}).get("reason") == Reason.INVALID_INPUT:
        return "correct its input and submit it again: GET /v1/jobs/{id}/input returns it"
    return "retry it: POST /v1/jobs/{id}/retry"


async def upload(
    context: Context, principal: Principal, stream: AsyncIterator[bytes], *, name: str
) -> ArtifactRecord:
    """Store an uploaded file for the caller's tenant.

    Raises PayloadTooLarge, InvalidBody, TooManyRequests, Conflict with a deletion, or Unauthorized
    for a key that ended meanwhile.
    """
    settings = context.settings
    quota = principal.limits.get("artifact_bytes", settings.max_artifact_bytes)
    used = await context.store.artifact_bytes(principal.tenant)
    if used >= quota:
        raise TooManyRequests(
            f"stored files: expected less than {quota} bytes for this tenant, got {used}",
            fix="delete jobs you no longer need; their files are removed some days later",
            retry_after_s=60.0,
        )
    limits = UploadLimits(
        max_bytes=min(settings.max_upload_bytes, quota - used),
        max_unpacked_bytes=settings.max_unpacked_bytes,
        max_gzip_ratio=settings.max_gzip_ratio,
    )
    checked = watched(stream, Watch(context, principal))
    blob = await context.blobs.ingest(checked, name=name, limits=limits)
    record = ArtifactRecord(
        digest=blob.digest,
        tenant=principal.tenant,
        name=name,
        media_type=blob.media_type,
        size_bytes=blob.size_bytes,
        created_us=await context.store.now_us(),
    )
    stored = await context.store.put_artifact(record)
    if not context.blobs.holds(blob.digest):  # see services.dispatcher.gc.remove_bytes
        raise Conflict(
            f"upload: {blob.digest} was deleted while it was stored again",
            fix="upload it again",
        )
    return stored


def reference(record: ArtifactRecord) -> dict[str, Any]:
    """Return a stored file as an ArtifactRef in JSON."""
    return ArtifactRef(
        digest=record.digest,
        name=record.name,
        size_bytes=record.size_bytes,
        media_type=record.media_type,
    ).model_dump(mode="json")


async def make_key(
    context: Context,
    *,
    tenant: str,
    name: str,
    scopes: Sequence[str],
    expires_us: int | None = None,
    limits: dict[str, int] | None = None,
) -> tuple[ApiKeyRecord, str]:
    """Make an API key; returns (record, the key itself). Raises InvalidBody or Conflict."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InvalidBody(
            f"scopes: expected some of {', '.join(SCOPES)}, got {list(scopes)}"
        )
    await tenancy.refuse_another_tenant(
        context.store, tenant, describe_pool(context).get("executor", {})
    )
    record, key = new_key(
        tenant=tenant,
        name=name,
        scopes=list(scopes),
        now_us=await context.store.now_us(),
        expires_us=expires_us,
        limits=limits,
    )
    await context.store.put_key(record)
    return record, key


async def revoke_key(context: Context, key_id: str) -> None:
    """Revoke an API key and, with it, its sessions. Raises NotFound."""
    await context.store.revoke_key(key_id)
    context.keyring.forget(key_id)


async def rotate_key(
    context: Context, key_id: str, *, overlap_s: float
) -> tuple[ApiKeyRecord, str]:
    """Replace the secret of a key; returns (record, the new key). Raises NotFound or Conflict.

    If the admin key in the data folder is that key, the file gets the new one.
    """
    secret, digest = new_secret()
    record = await context.store.rotate_key(
        key_id, new_sha256=digest, overlap_s=overlap_s
    )
    context.keyring.forget(key_id)
    key = f"tt_{key_id}_{secret}"
    file = context.settings.admin_key_file
    with contextlib.suppress(FileNotFoundError):
        if file.read_text().startswith(f"tt_{key_id}_"):
            write_private(file, key + "\n")
    return record, key


def describe_pool(context: Context) -> dict[str, Any]:
    """Describe the dispatcher, executor and language model of this process."""
    dispatcher, text = context.pool.dispatcher, context.pool.text
    about = (
        dict(dispatcher.describe())
        if dispatcher is not None
        else {"alive": False, "role": context.settings.role}
    )
    return about if text is None else {**about, "text_model": dict(text.describe())}


async def usage_tenants(context: Context, principal: Principal) -> list[str]:
    """Return the tenants whose usage a caller may see: every one for an admin."""
    if not principal.allows("admin"):
        return [principal.tenant]
    return sorted({*await context.store.tenants(), principal.tenant})


async def preview_retention(
    context: Context, tenant: str, rule: RetentionRule
) -> RetentionReport:
    """Count what a rule would remove beside the operator's."""
    rules = [each for each in (rule, context.settings.retention) if not each.is_empty]
    return await context.store.preview(tenant, rules)


async def run_retention(
    context: Context, tenant: str, *, within_s: float
) -> RetentionReport:
    """Apply the rules of a tenant now. Raises Conflict when a clock has jumped."""
    try:
        report = await context.retention.run(tenant, within_s=within_s)
    except ClockJumped as error:
        raise Conflict(str(error), fix="then run it again") from error
    detail = report.model_dump(mode="json")
    await context.store.audit(Deed(action="retention.run", target=tenant, detail=detail))
    return report
