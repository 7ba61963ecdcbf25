"""`/v1/keys`, `/v1/me` and `/v1/session-tickets`: API keys and browser sign-in."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import AfterValidator, AwareDatetime, Field
from starlette.responses import Response

from services.errors import Forbidden, InvalidBody, NotFound, field_error
from services.gateway import operations
from services.gateway.bodies import body_of
from services.gateway.deps import Admin, Context, Ctx, Viewer
from services.gateway.problems import documented
from services.gateway.views import FastJson, when
from services.store.types import ApiKeyRecord
from trimtab.specs.common import ShortText, WireModel

router = APIRouter(prefix="/v1", tags=["keys"])

KEY_ID = re.compile(r"^[a-z0-9]{12}\Z")
LimitName = Literal[
    "submits_per_minute",
    "requests_per_minute",
    "queued_jobs",
    "artifact_bytes",
    "text_tokens_per_minute",
]

_LONGEST_US = 100 * 365 * 86_400 * 1_000_000


class Scope(StrEnum):
    """Rights of a key; a higher one includes the lower ones."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    ADMIN = "admin"


class NewKey(WireModel):
    """Request to make an API key."""

    name: Annotated[ShortText, Field(min_length=1)]
    """Name for people, for example the program that uses the key."""
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$")] = "default"
    """Tenant whose jobs and files the key can use."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] = Field(
        default=[Scope.SUBMITTER]
    )
    """Rights of the key; a higher scope includes the lower ones: viewer, submitter, operator,
    admin."""
    expires_at: AwareDatetime | None = None
    """End of validity. None: the key does not expire."""
    limits: dict[LimitName, Annotated[int, Field(ge=1, le=2**53)]] = Field(
        default_factory=dict
    )
    """Limits of this key that replace the server's."""


class KeyView(WireModel):
    """An API key without its secret."""

    id: str
    """Id of the key; it is part of the key and not secret."""
    name: str
    """Name for people."""
    tenant: str
    """Tenant whose jobs and files the key can use."""
    scopes: list[str]
    """Rights of the key."""
    created_at: str
    """Creation time."""
    expires_at: str | None
    """End of validity. None: the key does not expire."""
    revoked: bool
    """The key has been revoked."""
    limits: dict[str, int]
    """Limits of this key that replace the server's."""
    last_used_at: str | None
    """Last use, to about a minute. None: never."""
    old_secret_until: str | None
    """Until when the secret before the newest rotation works. None: there is no such secret."""


class RotateKey(WireModel):
    """Request to replace the secret of a key."""

    overlap_s: Annotated[float, Field(ge=0, le=90 * 86_400)] = 86_400.0
    """Seconds for which the old secret still works."""


class MadeKey(KeyView):
    """A new API key. `key` is returned once and cannot be read again."""

    key: str
    """The key itself, shown only here."""


class Me(WireModel):
    """Identity of the caller."""

    tenant: str
    """Tenant of the key."""
    key_id: str
    """Id of the key."""
    scopes: list[str]
    """Rights of the key."""


class Ticket(WireModel):
    """One-time sign-in for a browser: open `path` on this server within ten minutes."""

    ticket: str
    """The one-time ticket."""
    path: str
    """Path with the ticket, to open in the browser."""


def key_view(record: ApiKeyRecord) -> dict[str, Any]:
    """Return a stored key as a KeyView in JSON."""
    return {
        "id": record.id,
        "name": record.name,
        "tenant": record.tenant,
        "scopes": list(record.scopes),
        "created_at": when(record.created_us),
        "expires_at": when(record.expires_us),
        "revoked": record.revoked,
        "limits": dict(record.limits),
        "last_used_at": when(record.last_used_us),
        "old_secret_until": when(record.old_until_us),
    }


@router.post(
    "/keys",
    status_code=201,
    response_model=MadeKey,
    responses=documented(400, 413, 415, 422, 503),
    openapi_extra={"requestBody": "NewKey"},
    summary="Make an API key",
)
async def make_key(request: Request, ctx: Ctx, principal: Admin) -> Response:
    """The response holds the key itself. Store it: the server keeps only a hash."""
    new = await body_of(request, NewKey)
    record, key = await operations.make_key(
        ctx,
        tenant=new.tenant,
        name=new.name,
        scopes=list(map(str, new.scopes)),
        expires_us=await _expiry_us(ctx, new),
        limits={str(name): value for name, value in new.limits.items()},
    )
    return FastJson({**key_view(record), "key": key}, status_code=201)


async def _expiry_us(ctx: Context, new: NewKey) -> int | None:
    if new.expires_at is None:
        return None
    expires_us = round(new.expires_at.timestamp() * 1e6)
    now_us = await ctx.store.now_us()
    if not now_us < expires_us <= now_us + _LONGEST_US:
        got = new.expires_at.isoformat()
        expected = "a time in the next hundred years"
        raise InvalidBody(
            f"expires_at: expected {expected}, got {got}",
            errors=[field_error("expires_at", got=got, expected=expected)],
            fix="omit it for a key that does not expire",
        )
    return expires_us


@router.get(
    "/keys",
    response_model=list[KeyView],
    responses=documented(503),
    summary="List the API keys",
)
async def list_keys(ctx: Ctx, principal: Admin) -> Response:
    """Keys of all tenants, revoked ones included."""
    return FastJson([key_view(record) for record in await ctx.store.list_keys()])


def _key_id(text: str) -> str:
    if not KEY_ID.match(text):
        raise NotFound(
            f"key_id: expected 12 lower-case letters and digits, got {text[:100]!r}",
            fix="list the keys: GET /v1/keys",
        )
    return text


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    responses=documented(404, 503),
    summary="Revoke an API key",
)
async def revoke_key(
    key_id: Annotated[str, Path(description="id of the key"), AfterValidator(_key_id)],
    ctx: Ctx,
    principal: Admin,
) -> Response:
    """Takes effect at once in this gateway, within five seconds in others on the database."""
    await operations.revoke_key(ctx, key_id)
    return Response(status_code=204)


@router.post(
    "/keys/{key_id}/rotate",
    status_code=201,
    response_model=MadeKey,
    responses=documented(400, 404, 409, 413, 415, 422, 503),
    openapi_extra={"requestBody": "RotateKey"},
    summary="Replace the secret of an API key",
)
async def rotate_key(
    key_id: Annotated[str, Path(description="id of the key"), AfterValidator(_key_id)],
    request: Request,
    ctx: Ctx,
    principal: Viewer,
) -> Response:
    """An admin may rotate every key, others the one that they call with.

    The response holds the new key. The old secret works for `overlap_s` more; one from an earlier
    rotation ends at once. Id, scopes, limits, expiry and sessions stay.
    """
    if key_id != principal.key_id and not principal.allows("admin"):
        raise Forbidden(
            f"key_id: expected the caller's own key {principal.key_id}, got {key_id}",
            fix="ask an admin to rotate it",
        )
    asked = await body_of(request, RotateKey)
    record, key = await operations.rotate_key(ctx, key_id, overlap_s=asked.overlap_s)
    return FastJson({**key_view(record), "key": key}, status_code=201)


@router.get(
    "/me", response_model=Me, responses=documented(503), summary="Describe the caller"
)
async def me(principal: Viewer) -> Response:
    """Tenant, key id and scopes of the caller's key."""
    return FastJson(
        {
            "tenant": principal.tenant,
            "key_id": principal.key_id,
            "scopes": sorted(principal.scopes),
        }
    )


@router.post(
    "/session-tickets",
    status_code=201,
    response_model=Ticket,
    responses=documented(503),
    summary="Make a sign-in link",
)
async def make_ticket(ctx: Ctx, principal: Viewer) -> Response:
    """One-time link that signs a browser in (`trimtab open`); the key never enters it."""
    ticket = ctx.keyring.ticket(principal)
    return FastJson(
        {"ticket": ticket, "path": f"/login?ticket={ticket}"}, status_code=201
    )
