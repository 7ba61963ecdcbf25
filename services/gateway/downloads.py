"""Stored files as downloads."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from services.errors import Unauthorized
from services.gateway.deps import Context, Principal
from services.gateway.watch import Watch

SVG = "image/svg+xml"
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class WatchedFile(FileResponse):
    """A file whose transfer is cut off once the caller's key has ended.

    The status is sent by then, so the connection closes before all promised bytes came.
    """

    def __init__(self, path: Path, *, watch: Watch, **more: Any) -> None:
        super().__init__(path, **more)
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""

        async def checked(message: Message) -> None:
            await self._watch.check()
            await send(message)

        with contextlib.suppress(Unauthorized):
            await super().__call__(scope, receive, checked)


def file_response(
    ctx: Context,
    principal: Principal,
    digest: str,
    name: str,
    *,
    picture: bool = False,
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
    return WatchedFile(
        ctx.blobs.path(digest),
        watch=Watch(ctx, principal),
        media_type=media_type,
        headers=headers,
    )
