"""A real server in a thread, with the echoing model in its process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from services.gateway.app import create_app
from services.gateway.server import Server
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.doubles.text_backend import InProcessBackend


@dataclass
class TextServer:
    """A running server."""

    url: str
    admin: str
    backend: InProcessBackend
    app: FastAPI
    api: httpx2.Client
    server: Server

    def key(self, **fields: Any) -> str:
        """Make an API key."""
        body = {"name": "test", **fields}
        headers = {"authorization": f"Bearer {self.admin}"}
        answer = self.api.post("/v1/keys", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])

    def post(
        self, path: str, body: Any, *, key: str | None = None, **headers: str
    ) -> httpx2.Response:
        sent = {"authorization": f"Bearer {key or self.admin}", **headers}
        if isinstance(body, bytes):
            sent["content-type"] = "application/json"
            return self.api.post(path, content=body, headers=sent)
        return self.api.post(path, json=body, headers=sent)

    def chat(self, text: str = "one two", **more: Any) -> httpx2.Response:
        body = {"model": "echo", "messages": [{"role": "user", "content": text}]}
        return self.post("/v1/chat/completions", body | more)

    def metric(self, line: str) -> float:
        headers = {"authorization": f"Bearer {self.admin}"}
        for found in self.api.get("/metrics", headers=headers).text.splitlines():
            if found.startswith(line + " "):
                return float(found.rpartition(" ")[2])
        return 0.0


def run_server(
    settings: Settings, backend: InProcessBackend | None
) -> Iterator[TextServer]:
    app = create_app(settings, store=MemoryStore(), text=backend)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="on")
    server = Server(config, lifetime=app.state.context.lifetime)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    admin = settings.admin_key_file.read_text().strip()
    with httpx2.Client(base_url=url, timeout=20) as api:
        yield TextServer(url, admin, backend or InProcessBackend(), app, api, server)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def settings_in(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=folder, role="gateway", log_level="error", **more)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextServer]:
    settings = settings_in(tmp_path_factory.mktemp("text"), text_max_tokens=900)
    yield from run_server(settings, InProcessBackend())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., TextServer]]:
    """Start a server with other settings or another backend."""
    running: list[Iterator[TextServer]] = []

    def begin(backend: InProcessBackend | None = None, **settings: Any) -> TextServer:
        folder = tmp_path / str(len(running))
        running.append(run_server(settings_in(folder, **settings), backend))
        return next(running[-1])

    yield begin
    for server in running:
        assert next(server, None) is None
