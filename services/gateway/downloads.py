"""Stored files as downloads."""

from __future__ import annotations

import re

from starlette.responses import FileResponse

from services.gateway.deps import Context

SVG = "image/svg+xml"
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def file_response(
    ctx: Context, digest: str, name: str, *, picture: bool = False
) -> FileResponse:
    """Return the bytes of `digest` as an attachment, never as a page of this site.

    A picture that a run drew keeps its media type, so that the job page can show it in an
    <img>, where scripts do not run. Opened by itself it is still a download, and its policy
    forbids it to load or run anything.
    """
    safe = re.sub(r"[^A-Za-z0-9._\-]", "_", name)[:150] or "file"
    headers = {
        "Content-Disposition": f'attachment; filename="{safe}"',
        "ETag": f'"{digest}"',
    }
    if picture:
        headers["Content-Security-Policy"] = PICTURE_POLICY
    media_type = SVG if picture else "application/octet-stream"
    return FileResponse(ctx.blobs.path(digest), media_type=media_type, headers=headers)
