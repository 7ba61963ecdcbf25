"""Posted forms with files: bounded before they are read, files spooled to disk and stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from services.errors import BadRequest, PayloadTooLarge
from services.gateway import operations
from services.gateway.deps import Context, Principal

MAX_FIELDS = 2000
MAX_FILES = 50
FORM_OVERHEAD_BYTES = 2**20  # boundaries and part headers beside the files
CHUNK_BYTES = 2**20


@asynccontextmanager
async def posted_form(
    request: Request, context: Context, *, max_files: int = MAX_FILES
) -> AsyncIterator[FormData]:
    """Parse the posted form, its files spooled to disk.

    Refuses a form that is too large by its Content-Length, before reading it.
    """
    settings = context.settings
    limit = settings.max_upload_bytes + settings.max_body_bytes + FORM_OVERHEAD_BYTES
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise BadRequest(
            f"Content-Length: expected the length of the form, got {length[:40]!r}",
            fix="send the form as browsers do",
        )
    if int(length) > limit:
        raise PayloadTooLarge(
            f"form: expected at most {limit:,} bytes, got {int(length):,}",
            fix="upload a smaller file",
        )
    try:
        async with request.form(
            max_files=max_files,
            max_fields=MAX_FIELDS,
            max_part_size=settings.max_body_bytes,
        ) as form:
            if not form:  # truncated or hand-made: do not submit a job of defaults alone
                raise BadRequest(
                    "form: expected at least one field, got none",
                    fix=f"open {request.url.path} and submit from there",
                )
            yield form
    except HTTPException as error:  # raised by Starlette for a malformed form
        raise BadRequest(
            f"form: expected multipart/form-data, got a body that does not parse: {error.detail}"
        ) from error


async def store_upload(
    context: Context, principal: Principal, upload: UploadFile
) -> dict[str, Any]:
    """Store a posted file; returns its ArtifactRef as JSON."""

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await upload.read(CHUNK_BYTES):
            yield chunk

    record = await operations.upload(
        context, principal, chunks(), name=(upload.filename or "")[:200]
    )
    return operations.reference(record)
