"""The pages' door to the gateway: its dependencies, its operations, its session cookie.

What a form does and what the API does ends in the same operation, so quotas, limits and wake-ups exist once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from services.gateway import operations
from services.gateway.auth import COOKIE, SESSION_S
from services.gateway.deps import Context, Principal, context, require, visible_tenant
from services.store.types import JobRecord
from trimtab.specs.common import JobRequest

__all__ = ["context", "visible_tenant"]  # taken on from the gateway's dependencies

CHUNK_BYTES = 2**20

viewer = require("viewer")
submitter = require("submitter")
admin = require("admin")


async def submit(parts: Context, principal: Principal, request: JobRequest) -> str:
    """Queue a job; its id. Raises InvalidBody, TooManyRequests."""
    submitted = await operations.submit(parts, principal, [request], idempotency_key=None)
    return submitted[0].job.id


async def act(parts: Context, principal: Principal, job_id: str, verb: str) -> None:
    """`stop`, `cancel` or `retry` a job. Raises NotFound, Conflict."""
    await operations.act(parts, principal, job_id, verb)


async def webhook(parts: Context, job: JobRecord) -> Mapping[str, Any] | None:
    """What became of the job's webhook; None without one."""
    return await operations.webhook(parts, job)


async def delete(parts: Context, principal: Principal, job_id: str) -> None:
    """Remove an ended job. Raises NotFound, Conflict."""
    await parts.store.delete(job_id, tenant=visible_tenant(principal))


async def store_upload(
    parts: Context, principal: Principal, upload: UploadFile
) -> dict[str, Any]:
    """Put a posted file into the blob store; its ArtifactRef as JSON."""

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await upload.read(CHUNK_BYTES):
            yield chunk

    record = await operations.upload(
        parts, principal, chunks(), name=(upload.filename or "")[:200]
    )
    return operations.reference(record)


def describe_pool(parts: Context) -> Mapping[str, Any]:
    """The dispatcher and executor of this process; empty when there is none."""
    return operations.describe_pool(parts) if parts.pool.dispatcher is not None else {}


async def make_key(
    parts: Context, *, name: str, tenant: str, scopes: list[str], expires_in_s: int | None
) -> str:
    """Make an API key; the key itself, which is shown once."""
    expires_us = (
        None
        if expires_in_s is None
        else await parts.store.now_us() + expires_in_s * 1_000_000
    )
    _, key = await operations.make_key(
        parts, name=name, tenant=tenant, scopes=scopes, expires_us=expires_us
    )
    return key


async def revoke_key(parts: Context, key_id: str) -> None:
    """End an API key and the sessions that began with it. Raises NotFound."""
    await operations.revoke_key(parts, key_id)


def begin_session(
    request: Request, parts: Context, response: Response, principal: Principal
) -> None:
    """Set the session cookie for a principal whose key or ticket was good."""
    response.set_cookie(
        COOKIE,
        parts.keyring.session(principal),
        max_age=SESSION_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


async def sign_out(request: Request, parts: Context) -> None:
    """End the session of the request's cookie for everyone who holds a copy of it."""
    if (cookie := request.cookies.get(COOKIE)) is not None:
        await parts.keyring.sign_out(cookie)


def end_session(response: Response) -> None:
    """Remove the cookie."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
