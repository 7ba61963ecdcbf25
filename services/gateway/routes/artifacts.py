"""/v1/artifacts: files up and down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from services.errors import BadRequest, NotFound
from services.gateway import operations
from services.gateway.deps import Context, Principal, context, require, visible_tenant
from services.gateway.problems import documented
from services.gateway.routes.jobs import file_response
from services.gateway.views import FastJson
from trimtab.specs.common import DIGEST_PATTERN, ArtifactRef

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])
Ctx = Annotated[Context, Depends(context)]


def _digest(given: str) -> str:
    if not DIGEST_PATTERN.match(given):
        raise NotFound(f"{given[:100]!r} is no digest; wanted sha256: and 64 hex digits")
    return given


Digest = Annotated[str, AfterValidator(_digest)]
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "",
    status_code=201,
    response_model=ArtifactRef,
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503, 507),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}}
    },
    summary="Upload a file",
)
async def upload_artifact(
    request: Request,
    ctx: Ctx,
    principal: Annotated[Principal, Depends(require("submitter"))],
    name: Annotated[
        str, Query(min_length=1, max_length=200, description="file name, e.g. air05.mps.gz")
    ],
) -> Response:
    """The body is the file, streamed to disk. Name it in a spec by the digest that comes back. The same bytes again
    give the same digest and take no more room. A .gz is unpacked on the way to check it: bombs and damaged files are refused.
    """
    if (
        "\x00" in name
        or "/" in name
        or "\\" in name
        or any(0xD800 <= ord(c) <= 0xDFFF for c in name)
    ):
        raise BadRequest(
            "a file name holds no slash, backslash, NUL or surrogate",
            fix="give the bare name of the file",
        )

    async def stream() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            yield chunk

    record = await operations.upload(ctx, principal, stream(), name=name)
    return FastJson(operations.reference(record), status_code=201)


@router.get(
    "/{digest}",
    response_model=ArtifactRef,
    responses=documented(401, 403, 404, 429, 503),
    summary="What is known of a file",
)
async def get_artifact(
    digest: Digest, ctx: Ctx, principal: Annotated[Principal, Depends(require("viewer"))]
) -> Response:
    """Name, size and type. 404 when this tenant has not uploaded or produced it."""
    return FastJson(
        operations.reference(
            await ctx.store.get_artifact(digest, tenant=visible_tenant(principal))
        )
    )


@router.get(
    "/{digest}/content",
    response_class=Response,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": _BINARY}},
        **documented(401, 403, 404, 429, 503),
    },
    summary="Download a file",
)
async def get_content(
    digest: Digest, ctx: Ctx, principal: Annotated[Principal, Depends(require("viewer"))]
) -> Response:
    """The bytes."""
    record = await ctx.store.get_artifact(digest, tenant=visible_tenant(principal))
    return file_response(ctx, record.digest, record.name)
