"""/v1/keys, /v1/me and /v1/session-tickets: who may do what."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, AwareDatetime, Field, ValidationError
from starlette.responses import Response

from services.errors import InvalidBody, NotFound
from services.gateway import operations
from services.gateway.deps import Context, Principal, context, require
from services.gateway.problems import documented, from_validation
from services.gateway.routes.jobs import _json_body
from services.gateway.views import FastJson, when
from services.store.types import ApiKeyRecord
from trimtab.specs.common import ShortText, WireModel

router = APIRouter(prefix="/v1", tags=["keys"])
Ctx = Annotated[Context, Depends(context)]
Admin = Annotated[Principal, Depends(require("admin"))]
Viewer = Annotated[Principal, Depends(require("viewer"))]
Scope = Literal["viewer", "submitter", "operator", "admin"]
KEY_ID = re.compile(r"^[a-z0-9]{12}\Z")
LimitName = Literal[
    "submits_per_minute", "requests_per_minute", "queued_jobs", "artifact_bytes"
]

_LONGEST_US = 100 * 365 * 86_400 * 1_000_000


class NewKey(WireModel):
    """A key to make."""

    name: Annotated[ShortText, Field(min_length=1)]
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$")] = "default"
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] = ["submitter"]  # noqa: RUF012 - pydantic copies it
    expires_at: AwareDatetime | None = None
    limits: dict[LimitName, Annotated[int, Field(ge=1, le=2**53)]] = Field(
        default_factory=dict
    )


class KeyView(WireModel):
    """A key without its secret."""

    id: str
    name: str
    tenant: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    revoked: bool
    limits: dict[str, int]


class MadeKey(KeyView):
    """A new key. `key` is shown this once."""

    key: str


class Me(WireModel):
    """Who the caller is."""

    tenant: str
    key_id: str
    scopes: list[str]


class Ticket(WireModel):
    """A one-time sign-in for the browser: open `path` on this server within ten minutes."""

    ticket: str
    path: str


def key_view(record: ApiKeyRecord) -> dict[str, Any]:
    """A record for the outside."""
    return {
        "id": record.id,
        "name": record.name,
        "tenant": record.tenant,
        "scopes": list(record.scopes),
        "created_at": when(record.created_us),
        "expires_at": when(record.expires_us),
        "revoked": record.revoked,
        "limits": dict(record.limits),
    }


@router.post(
    "/keys",
    status_code=201,
    response_model=MadeKey,
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503),
    openapi_extra={"requestBody": "NewKey"},
    summary="Make a key",
)
async def make_key(request: Request, ctx: Ctx, principal: Admin) -> Response:
    """The key itself is in this answer and nowhere else."""
    try:
        given = NewKey.model_validate_json(await _json_body(request))
    except ValidationError as error:
        raise from_validation(error) from error
    record, key = await operations.make_key(
        ctx,
        tenant=given.tenant,
        name=given.name,
        scopes=given.scopes,
        expires_us=await _expiry_us(ctx, given),
        limits={str(name): value for name, value in given.limits.items()},
    )
    return FastJson({**key_view(record), "key": key}, status_code=201)


async def _expiry_us(ctx: Context, given: NewKey) -> int | None:
    if given.expires_at is None:
        return None
    expires_us = round(given.expires_at.timestamp() * 1e6)
    now_us = await ctx.store.now_us()
    if not now_us < expires_us <= now_us + _LONGEST_US:
        came = given.expires_at.isoformat()
        raise InvalidBody(
            f"expires_at {came} came; wanted a time to come, within a hundred years",
            errors=[
                {
                    "path": "expires_at",
                    "came": came,
                    "wanted": "a time to come, within a hundred years",
                }
            ],
            fix="leave it out for a key that does not expire",
        )
    return expires_us


@router.get(
    "/keys",
    response_model=list[KeyView],
    responses=documented(401, 403, 429, 503),
    summary="All keys",
)
async def list_keys(ctx: Ctx, principal: Admin) -> Response:
    """Revoked ones too."""
    return FastJson([key_view(record) for record in await ctx.store.list_keys()])


def _key_id(given: str) -> str:
    if not KEY_ID.match(given):
        raise NotFound(f"no key {given[:100]!r}; an id is 12 small letters and digits")
    return given


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    responses=documented(401, 403, 404, 429, 503),
    summary="Revoke a key",
)
async def revoke_key(
    key_id: Annotated[str, AfterValidator(_key_id)], ctx: Ctx, principal: Admin
) -> Response:
    """At once here; within five seconds in other gateways on the same database."""
    await operations.revoke_key(ctx, key_id)
    return Response(status_code=204)


@router.get(
    "/me", response_model=Me, responses=documented(401, 403, 429, 503), summary="Who am I"
)
async def me(principal: Viewer) -> Response:
    """Tenant and scopes of the caller's key."""
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
    responses=documented(401, 403, 429, 503),
    summary="Sign a browser in",
)
async def make_ticket(ctx: Ctx, principal: Viewer) -> Response:
    """What `trimtab open` uses: the key itself never enters the browser."""
    ticket = ctx.keyring.ticket(principal)
    return FastJson({"ticket": ticket, "path": f"/login?ticket={ticket}"}, status_code=201)
