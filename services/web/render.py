"""Rendering: autoescaped templates, one strict CSP, static files addressed by their hash."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.web import formatting

HERE = Path(__file__).parent
STATIC = HERE / "static"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
PAGE_HEADERS: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",  # after signing out, Back must not show a page
}


# The report of a plan, which a run has written. It may be framed by our own pages, runs nothing and
# loads nothing. Without `allow-same-origin` its links to jobs would not carry the session.
REPORT_HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'; "
        "sandbox allow-same-origin allow-top-navigation-by-user-activation"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Template renderer of one application."""

    environment: Environment

    def response(
        self, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Render a page."""
        html = self.environment.get_template(template).render(values)
        return HTMLResponse(html, status_code=status, headers=dict(PAGE_HEADERS))


def make_pages() -> Pages:
    """Load the templates and hash the static files once."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static_urls()
    filters: dict[str, Callable[..., Any]] = {
        "number": formatting.number,
        "figure": formatting.figure,
        "percent": formatting.percent,
        "seconds": formatting.seconds,
        "utc": formatting.utc,
        "iso": formatting.iso,
        "size": formatting.size,
        "label": formatting.label,
        "prose": prose,
        "capitalize_first": formatting.capitalize_first,
        "sentence": formatting.sentence,
    }
    environment.filters.update(filters)
    return Pages(environment=environment)


def prose(text: str) -> Markup:
    """Escape text and mark up its `code`."""
    escaped = str(escape(text))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped))  # noqa: S704 - escaped


def static_urls() -> dict[str, str]:
    """Return name → URL with a part of the content's hash, so that files may be cached."""
    return {
        (
            name := path.relative_to(STATIC).as_posix()
        ): f"/static/{name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }


class HashedStatic(StaticFiles):
    """Static files, compressed. A URL with `?v=` names one content and is cached for a year.

    Pages themselves are not compressed: their length would tell about secrets in them.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file with headers for caching and against type sniffing."""
        response = await super().get_response(path, scope)
        if isinstance(response, FileResponse) and _takes_gzip(scope):
            response = _packed_response(response)
        response.headers.add_vary_header("Accept-Encoding")
        if scope["query_string"].startswith(b"v=") and response.status_code == 200:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        response.headers["x-content-type-options"] = "nosniff"
        # An SVG that is opened on its own is a document and could run scripts.
        response.headers["content-security-policy"] = "default-src 'none'"
        return response


def _takes_gzip(scope: Scope) -> bool:
    """Return True for a GET of a whole file by a client that reads gzip."""
    headers = Headers(scope=scope)
    offered = [
        part.replace(" ", "").lower()
        for part in headers.get("accept-encoding", "").split(",")
    ]
    accepted = any(
        part.split(";")[0] == "gzip" and not part.endswith((";q=0", ";q=0.0"))
        for part in offered
    )
    return scope["method"] == "GET" and accepted and "range" not in headers


def _packed_response(response: FileResponse) -> Response:
    """Return a file's response with its bytes compressed."""
    path = Path(response.path)
    packed = _packed(path, path.stat().st_mtime_ns)
    headers = {
        "content-encoding": "gzip",
        "last-modified": response.headers["last-modified"],
    }
    return Response(packed, media_type=response.media_type, headers=headers)


@lru_cache(maxsize=64)
def _packed(path: Path, _changed_ns: int) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


def see_other(url: str) -> RedirectResponse:
    """Redirect after a POST. `url` must be a path of this site, never from the request."""
    return RedirectResponse(url, status_code=303, headers={"cache-control": "no-store"})


def local_path(candidate: str | None, default: str = "/") -> str:
    """Return `candidate` if it is a path on this site, else `default`."""
    if candidate and re.fullmatch(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,500}", candidate):
        return candidate
    return default


def pages_of(request: Request) -> Pages:
    """Return the renderer of the request's application."""
    pages: Pages = request.app.state.web_pages
    return pages
