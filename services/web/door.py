"""The pages' door to the gateway.

Reading goes to the store. Every action goes through the API itself, called in this process with the reader's own
cookie, `Origin` and `Sec-Fetch-Site`: the pages can then do nothing that the API would refuse, and quotas, limits,
cross-site checks, wake-ups and audit exist once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from services import errors
from services.errors import ServiceError
from services.gateway.deps import Context, Principal, require

CHUNK_BYTES = 2**20
_PASSED_ON = ("cookie", "origin", "sec-fetch-site", "sec-fetch-mode", "host", "referer", "user-agent")
_BY_STATUS: Mapping[int, type[ServiceError]] = {
    error.status: error
    for error in (
        errors.BadRequest,
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.PayloadTooLarge,
        errors.UnsupportedMedia,
        errors.InvalidBody,
        errors.TooManyRequests,
        errors.StoreUnavailable,
        errors.InsufficientStorage,
    )
}

viewer = require("viewer")
submitter = require("submitter")
operator = require("operator")
admin = require("admin")


def context(request: Request) -> Context:
    """What the gateway shares with its routes."""
    shared: Context = request.app.state.context
    return shared


def visible_tenant(principal: Principal) -> str | None:
    """Whose jobs a reader sees; None is everybody's."""
    return None if "admin" in principal.scopes else principal.tenant


# -- actions ------------------------------------------------------------------------------------------------------


async def submit(request: Request, body: Mapping[str, Any]) -> str:
    """Queue a job; its id."""
    job = await _call(request, "POST", "/v1/jobs", json=dict(body))
    return str(job["id"])


async def act(request: Request, job_id: str, verb: str) -> None:
    """`stop`, `cancel` or `retry` a job."""
    await _call(request, "POST", f"/v1/jobs/{quote(job_id, safe='')}/{verb}")


async def delete(request: Request, job_id: str) -> None:
    """Remove an ended job."""
    await _call(request, "DELETE", f"/v1/jobs/{quote(job_id, safe='')}")


async def store_upload(request: Request, upload: UploadFile) -> dict[str, Any]:
    """Put a posted file into the blob store; its ArtifactRef."""

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await upload.read(CHUNK_BYTES):
            yield chunk

    stored = await _call(
        request, "POST", f"/v1/artifacts?name={quote(upload.filename or '', safe='')}", content=chunks()
    )
    return {key: stored[key] for key in ("digest", "name", "size_bytes", "media_type") if key in stored}


async def describe_pool(request: Request) -> Mapping[str, Any]:
    """What this server says of its workers."""
    answer: Mapping[str, Any] = await _call(request, "GET", "/v1/workers")
    return answer


async def make_key(request: Request, body: Mapping[str, Any]) -> str:
    """Make an API key; its secret, which is nowhere else."""
    made = await _call(request, "POST", "/v1/keys", json=dict(body))
    return str(made["key"])


async def revoke_key(request: Request, key_id: str) -> None:
    """End an API key."""
    await _call(request, "DELETE", f"/v1/keys/{quote(key_id, safe='')}")


async def ticket_for(request: Request, key: str) -> str:
    """A one-time ticket for who holds `key`. Raises Unauthorized."""
    if not key.isascii() or any(char.isspace() for char in key):
        raise errors.Unauthorized("what came is not of the form of a key", fix="Paste the whole key, tt_ and all.")
    made = await _call(request, "POST", "/v1/session-tickets", headers={"authorization": f"Bearer {key}"})
    return str(made["ticket"])


async def _call(
    request: Request, method: str, path: str, *, headers: Mapping[str, str] | None = None, **content: Any
) -> Any:
    """One call of our own API, without a network. Raises the ServiceError that the answer tells."""
    passed = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    if headers:
        passed = {name: value for name, value in passed.items() if name != "cookie"} | dict(headers)
    request_id = getattr(request.state, "request_id", None)
    if request_id:
        passed["x-request-id"] = str(request_id)
    client = request.client
    transport = httpx2.ASGITransport(app=request.app, client=(client.host, client.port) if client else ("127.0.0.1", 0))
    base = f"{request.url.scheme}://{request.url.netloc}"
    async with httpx2.AsyncClient(transport=transport, base_url=base, trust_env=False) as api:
        answer = await api.request(method, path, headers=passed, **content)
    if answer.status_code < 400:
        return answer.json() if answer.content else None
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    kind = _BY_STATUS.get(answer.status_code)
    if kind is None:
        raise ServiceError(str(problem.get("detail", "the service could not do this")))
    raise kind(
        str(problem.get("detail", answer.reason_phrase)),
        fix=problem.get("fix"),
        errors=problem.get("errors") or [],
        retry_after_s=problem.get("retry_after_s") or 1.0,
    )


# -- sessions -----------------------------------------------------------------------------------------------------


def refuse_cross_site(request: Request) -> None:
    """For the two forms that need no session; every other unsafe request is checked with its cookie."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site not in (None, "same-origin", "none") or (origin is not None and origin != own):
        raise errors.Forbidden(f"this came from another site ({origin or site})", fix="Use the form of this site.")


async def begin_session(request: Request, shared: Context, response: Response, ticket: str) -> None:
    """Spend a ticket and set the cookie. Raises Unauthorized."""
    raise NotImplementedError


def end_session(request: Request, response: Response) -> None:
    """Remove the cookie."""
    response.delete_cookie("trimtab_session", path="/", httponly=True, samesite="strict")
