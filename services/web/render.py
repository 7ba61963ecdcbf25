"""Templates in, responses out: autoescape always, one strict content-security policy, static files by content hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.web import formatting

HERE = Path(__file__).parent
STATIC = HERE / "static"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",  # pages are per user, and Back after sign-out must show nothing
}


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Renders templates. One for each application; nothing is global."""

    environment: Environment

    def response(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page."""
        html = self.environment.get_template(template).render(values)
        return HTMLResponse(html, status_code=status, headers=dict(PAGE_HEADERS))


def make_pages() -> Pages:
    """Read the templates' folder and hash the static files once."""
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
        "percent": formatting.percent,
        "seconds": formatting.seconds,
        "utc": formatting.utc,
        "iso": formatting.iso,
        "size": formatting.size,
        "words": formatting.label,
        "prose": prose,
    }
    environment.filters.update(filters)
    return Pages(environment=environment)


def prose(text: str) -> Markup:
    """A docstring's text with `code` marked up; everything else is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 — escaped the line before


def static_urls() -> dict[str, str]:
    """Name → URL with a piece of the content's hash, so that files may be cached for ever."""
    return {
        (
            name := path.relative_to(STATIC).as_posix()
        ): f"/static/{name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }


class HashedStatic(StaticFiles):
    """Static files; those asked for with `?v=` never change under that address."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with cache and type-sniffing headers."""
        response = await super().get_response(path, scope)
        if scope["query_string"].startswith(b"v=") and response.status_code == 200:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["content-security-policy"] = (
            "default-src 'none'"  # an SVG opened on its own is a document
        )
        return response


def see_other(url: str) -> RedirectResponse:
    """Redirect after POST. `url` is always one of ours, never from the request."""
    return RedirectResponse(url, status_code=303, headers={"cache-control": "no-store"})


def local_path(candidate: str | None, default: str = "/") -> str:
    """A path on this site, or `default`: what came as `next` must not lead elsewhere."""
    if candidate and re.fullmatch(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,500}", candidate):
        return candidate
    return default


def wants_html(request: Request) -> bool:
    """True for a browser's navigation."""
    return "text/html" in request.headers.get("accept", "")
