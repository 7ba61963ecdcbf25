"""`/v1/artifacts`: upload, describe and download files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from services.errors import BadRequest, NotFound, UnsupportedMedia
from services.gateway import operations
from services.gateway.deps import Ctx, Submitter, Viewer, visible_tenant
from services.gateway.downloads import file_response
from services.gateway.problems import documented
from services.gateway.views import FastJson
from trimtab.specs.common import DIGEST_PATTERN, ArtifactRef

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])


def _digest(text: str) -> str:
    if not DIGEST_PATTERN.match(text):
        raise NotFound(
            f"digest: expected sha256: and 64 hexadecimal digits, got {text[:100]!r}",
            fix="use the digest that the upload returned",
        )
    return text


Digest = Annotated[
    str, Path(description="`sha256:` and 64 hex digits"), AfterValidator(_digest)
]
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "",
    status_code=201,
    response_model=ArtifactRef,
    responses=documented(400, 413, 415, 422, 503, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": _BINARY},
        }
    },
    summary="Upload a file",
)
async def upload_artifact(
    request: Request,
    ctx: Ctx,
    principal: Submitter,
    name: Annotated[
        str,
        Query(min_length=1, max_length=200, description="file name, e.g. air05.mps.gz"),
    ],
) -> Response:
    """The body is the file; it is streamed to disk. Put the returned digest into a spec.

    Uploading the same bytes again returns the same digest and takes no extra space. A .gz
    file is unpacked while it is read, and damaged files and zip bombs are refused.
    """
    if (
        "\x00" in name
        or "/" in name
        or "\\" in name
        or any(0xD800 <= ord(c) <= 0xDFFF for c in name)
    ):
        raise BadRequest(
            f"name: expected a file name without slash, backslash, NUL or surrogate, "
            f"got {name[:100]!r}",
            fix="send the bare name of the file",
        )
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent in _FORMS:
        raise UnsupportedMedia(
            f"Content-Type: expected application/octet-stream, got {sent!r}: the body would be "
            "stored as a form",
            fix="with curl: -H 'Content-Type: application/octet-stream' --data-binary @FILE",
        )

    async def stream() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            yield chunk

    record = await operations.upload(ctx, principal, stream(), name=name)
    return FastJson(operations.reference(record), status_code=201)


@router.get(
    "/{digest}",
    response_model=ArtifactRef,
    responses=documented(404, 503),
    summary="Describe a file",
)
async def get_artifact(digest: Digest, ctx: Ctx, principal: Viewer) -> Response:
    """Name, size and media type. 404 unless this tenant uploaded or produced the file."""
    return FastJson(
        operations.reference(
            await ctx.store.get_artifact(digest, tenant=visible_tenant(principal))
        )
    )


@router.get(
    "/{digest}/content",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {"application/octet-stream": _BINARY},
        },
        **documented(404, 503),
    },
    summary="Download a file",
)
async def get_content(digest: Digest, ctx: Ctx, principal: Viewer) -> Response:
    """The bytes of the file, as an attachment."""
    record = await ctx.store.get_artifact(digest, tenant=visible_tenant(principal))
    return file_response(ctx, principal, record.digest, record.name)
