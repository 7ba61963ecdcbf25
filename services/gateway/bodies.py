"""JSON bodies that routes parse themselves, from raw bytes and strictly."""

from __future__ import annotations

from fastapi import Request

from services.errors import UnsupportedMedia


async def json_body(request: Request) -> bytes:
    """Return the raw body. Raises UnsupportedMedia unless it is declared as JSON."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMedia(
            f"Content-Type: expected application/json, got {media[:80]!r}",
            fix="send `Content-Type: application/json`",
        )
    return await request.body()
