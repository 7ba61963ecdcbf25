"""The short way of a submit: its answers are those of the framework's way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.services.gateway.conftest import JOB

# They differ between any two requests.
OF_ONE_REQUEST = {
    *("request_id", "id", "created_at", "links"),
    *("location", "x-request-id", "ratelimit"),
}
JSON = {"content-type": "application/json"}
BODIES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"json": JOB}, {}),
    ({"json": JOB}, {"idempotency-key": "same"}),
    ({"json": {**JOB, "seed": 7}}, {"idempotency-key": "same"}),
    ({"json": JOB}, {"idempotency-key": "a blank"}),
    ({"json": JOB}, {"idempotency-key": ""}),
    ({"json": {**JOB, "kind": "none"}}, {}),
    ({"json": {**JOB, "seed": -1, "more": 1}}, {}),
    ({"json": [JOB]}, {}),
    ({"content": b"{"}, JSON),
    ({"content": b""}, JSON),
    ({"content": b"x" * 2**17}, JSON),
    ({"content": b"{}"}, {"content-type": "text/plain"}),
    ({"content": b"{}"}, {**JSON, "content-encoding": "gzip"}),
    ({"json": JOB}, {"authorization": "Bearer tt_none"}),
    ({"json": JOB}, {"authorization": "Basic eDp5"}),
    ({"json": JOB}, {"host": "evil.example"}),
    ({"json": JOB}, {"x-request-id": "mine"}),
]


def _as_traced(app: ASGIApp) -> ASGIApp:
    """Mark requests like a server that traces; such requests go the framework's way."""

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["fastapi.telemetry"] = None
        await app(scope, receive, send)

    return traced


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TestClient]]:
    """Clients of two servers with the same content: the short way and the framework's."""
    with contextlib.ExitStack() as stack:
        clients = []
        for traced in (False, True):
            folder: Path = tmp_path_factory.mktemp("server")
            settings = Settings(
                data_dir=folder,
                role="gateway",
                diagnostic_kinds=True,
                log_level="error",
                max_body_bytes=2**16,
            )
            app = create_app(settings, store=MemoryStore())
            client = TestClient(
                _as_traced(app) if traced else app, base_url="http://127.0.0.1"
            )
            stack.enter_context(client)
            key = settings.admin_key_file.read_text().strip()
            client.headers["authorization"] = f"Bearer {key}"
            clients.append(client)
        yield clients


@pytest.mark.parametrize(("body", "headers"), BODIES)
def test_a_submit_is_answered_alike(
    ways: list[TestClient], body: dict[str, Any], headers: dict[str, str]
) -> None:
    for _ in range(2):  # a replay is answered alike too
        short, framework = (
            client.post("/v1/jobs", headers=headers, **body) for client in ways
        )
        assert short.status_code == framework.status_code
        assert _stable(short.json()) == _stable(framework.json())
        assert _stable(dict(short.headers)) == _stable(dict(framework.headers))
        if "x-request-id" in headers:
            assert short.headers["x-request-id"] == "mine"


def test_other_methods_and_scopes_are_refused_alike(ways: list[TestClient]) -> None:
    keys = [
        client.post("/v1/keys", json={"name": "v", "tenant": "t", "scopes": ["viewer"]})
        for client in ways
    ]
    for client, made in zip(ways, keys, strict=True):
        viewer = {"authorization": f"Bearer {made.json()['key']}"}
        assert client.post("/v1/jobs", json=JOB, headers=viewer).status_code == 403
        assert client.put("/v1/jobs", json=JOB).status_code == 405
        assert client.post("/v1/jobs/", json=JOB).status_code == 404


def test_metrics_name_the_route(ways: list[TestClient]) -> None:
    ways[0].post("/v1/jobs", json=JOB)
    text = ways[0].get("/metrics").text
    assert (
        'trimtab_http_requests_total{method="POST",route="/v1/jobs",status="202"}' in text
    )


def _stable(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in OF_ONE_REQUEST}
