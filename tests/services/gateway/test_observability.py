"""Metrics, rate limit headers, traces and the API reference page."""

from __future__ import annotations

import http.server
import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.services.gateway.conftest import JOB
from trimtab.results import JobState

Key = Callable[..., dict[str, str]]


def test_metrics_tell_states_queue_and_requests(
    anonymous: TestClient, admin: dict[str, str]
) -> None:
    ids = [
        anonymous.post("/v1/jobs", json=JOB, headers=admin).json()["id"] for _ in range(3)
    ]
    anonymous.post(f"/v1/jobs/{ids[0]}/cancel", headers=admin)
    text = anonymous.get("/metrics", headers=admin).text
    series = dict(re.findall(r"^(trimtab_\S+) (\S+)$", text, re.MULTILINE))
    states = {
        state: series[f'trimtab_jobs{{state="{state}"}}']
        for state in ("QUEUED", "CANCELLED")
    }
    assert states == {"QUEUED": "2.0", "CANCELLED": "1.0"}
    assert len([name for name in series if name.startswith("trimtab_jobs{")]) == len(
        JobState
    )
    assert series['trimtab_submits_total{kind="probe"}'] == "3.0"
    assert (
        series['trimtab_http_requests_total{method="POST",route="/v1/jobs",status="202"}']
        == "3.0"
    )
    assert series["trimtab_stale_writes_total"] == "0.0"
    assert "# TYPE trimtab_stale_writes_total counter" in text
    assert 0 < float(series["trimtab_queue_age_seconds"]) < 60


def test_the_limit_is_told_before_and_when_it_is_reached(
    anonymous: TestClient, key: Key
) -> None:
    mine = key("acme", limits={"submits_per_minute": 1})
    first, second = (anonymous.post("/v1/jobs", json=JOB, headers=mine) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 429)
    for answer in (first, second):
        assert answer.headers["ratelimit-policy"] == '"submits";q=1;w=60'
        assert answer.headers["ratelimit"] == '"submits";r=0;t=60'


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.ids |= {attributes["id"]} if "id" in attributes else set()
        if tag == "a":
            self.links.add(attributes["href"])
        self.loaded |= {attributes[name] for name in ("src",) if name in attributes}


def test_the_page_of_the_api_names_every_operation_and_loads_nothing_from_elsewhere(
    anonymous: TestClient,
) -> None:
    answer = anonymous.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = _Page()
    page.feed(answer.text)
    for path, operations in anonymous.get("/openapi.json").json()["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in answer.text
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    assert all(source.startswith("/static/") for source in page.loaded)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes], threading.Event]]:
    """A fake OTLP/HTTP collector: its address, the requests it got, and an event set by one."""
    bodies: list[bytes] = []
    arrived = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bodies.append(self.path.encode() + b" " + body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
            arrived.set()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies, arrived
    server.shutdown()
    server.server_close()
    thread.join(60)


def test_traces_reach_a_collector(
    settings: Settings,
    collector: tuple[str, list[bytes], threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        pytest.skip("the `otel` extra is not installed: pip install -e '.[otel]'")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", exc_type=ImportError)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    endpoint, bodies, arrived = collector
    app = create_app(
        settings.model_copy(update={"otlp_endpoint": endpoint}), store=MemoryStore()
    )
    with TestClient(app, base_url="http://127.0.0.1") as client:
        admin = {"authorization": f"Bearer {settings.admin_key_file.read_text().strip()}"}
        assert client.get("/healthz").status_code == 200
        assert client.post("/v1/jobs", json=JOB, headers=admin).status_code == 202
    assert arrived.wait(60)  # sent at the latest when the application ended
    sent = b"".join(bodies)
    assert sent.startswith(b"/v1/traces ")
    assert b"/v1/jobs" in sent
    assert b"trimtab" in sent
    assert b"/healthz" not in sent
    assert admin["authorization"].encode() not in sent


def test_traces_without_the_extra_say_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
    )
    with pytest.raises(ImportError, match=r"pip install -e '\.\[otel\]'"):
        create_app(
            settings.model_copy(update={"otlp_endpoint": "http://127.0.0.1:1"}),
            store=MemoryStore(),
        )
