"""A real server with the default process pool on a free port, and a real Chromium."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.text_backend import InProcessBackend
from tests.e2e.cdp import Browser, Page, find_chromium

VENDOR = Path(__file__).parent / "vendor"


@dataclass(frozen=True)
class Site:
    """The server under test."""

    url: str
    key: str

    def api(self, method: str, path: str, **more: Any) -> Any:
        """Send a request with the admin key; returns the JSON of the response."""
        headers = {
            "authorization": f"Bearer {self.key}",
            **more.pop("headers", {}),
        }
        answer = httpx2.request(
            method, self.url + path, headers=headers, timeout=30, **more
        )
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def ticket_url(self) -> str:
        """Return a one-time URL that signs a browser in."""
        return (
            f"{self.url}/login?ticket={self.api('POST', '/v1/session-tickets')['ticket']}"
        )

    def submit(self, **spec: Any) -> str:
        """Queue a probe; returns its id."""
        labels = {"note": "<script>window.hacked=1</script>"}
        body = {
            "kind": "probe",
            "spec": spec,
            "budget": {"seconds": 60.0},
            "labels": labels,
        }
        return str(self.api("POST", "/v1/jobs", json=body)["id"])

    def wait(self, job_id: str) -> Any:
        """Wait until a job has ended."""
        return self.api("GET", f"/v1/jobs/{job_id}/wait?timeout_s=30")


@pytest.fixture(scope="session")
def chromium() -> str:
    path = find_chromium()
    if path is None:
        message = "chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        port=0,
        diagnostic_kinds=True,
        workers=2,
        log_level="error",
    )
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(
        uvicorn.Config(
            create_app(settings, text=InProcessBackend()),
            host="127.0.0.1",
            port=0,
            log_level="error",
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(60), "the server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(
        url=f"http://127.0.0.1:{port}", key=settings.admin_key_file.read_text().strip()
    )
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(chromium, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Open signed-in pages; each must be free of errors and of requests to other sites."""
    pages: list[Page] = []

    def open_one(path: str = "/", *, sign_in: bool = True, **look: Any) -> Page:
        page = browser.page(**look)
        pages.append(page)
        if sign_in:
            page.goto(site.ticket_url())
        if path != "/" or not sign_in:
            page.goto(site.url + path)
        return page

    yield open_one
    for page in pages:
        page.close()
    for page in pages:
        assert page.faults == []
        assert [
            url
            for url in page.requests
            if not url.startswith((site.url, "about:", "data:"))
        ] == []


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], list[Any]]:
    source = (VENDOR / "axe.min.js").read_text()

    def run(page: Page) -> list[Any]:
        """Return the serious and critical findings of axe on a page."""
        page.eval(source + "\n;1")
        violations: list[Any] = page.eval(
            "axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations"
            ".filter((v) => ['serious', 'critical'].includes(v.impact))"
            ".map((v) => [v.id, v.impact, v.nodes.slice(0, 3)"
            ".map((n) => n.html + ' ' + n.failureSummary)]))"
        )
        return violations

    return run
