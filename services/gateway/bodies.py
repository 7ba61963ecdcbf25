"""JSON bodies that routes parse themselves, from raw bytes and strictly."""

from __future__ import annotations

from fastapi import Request

from services.errors import UnsupportedMedia


async def json_body(request: Request, *, media: str = "application/json") -> bytes:
    """Return the raw body. Raises UnsupportedMedia unless it is declared as this type."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != media:
        raise UnsupportedMedia(
            f"Content-Type: expected {media}, got {sent[:80]!r}",
            fix=f"send `Content-Type: {media}`",
        )
    return await request.body()
