"""Server-sent events and long polls through a real server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn

from services.gateway import events
from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.services.gateway.conftest import JOB
from tests.waiting import eventually, sooner_than


@dataclass
class Live:
    api: httpx2.Client
    app: Any
    server: uvicorn.Server
    thread: threading.Thread

    def submit(self) -> str:
        return str(self.api.post("/v1/jobs", json=JOB).json()["id"])


@pytest.fixture
def live(settings: Settings, store: MemoryStore) -> Iterator[Live]:
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    app = create_app(settings, store=store)
    server = Server(
        uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=3)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(30)
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"authorization": f"Bearer {settings.admin_key_file.read_text().strip()}"}
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20
    ) as api:
        yield Live(api, app, server, thread)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_events_end_and_resume(live: Live) -> None:
    job = live.submit()
    live.api.post(f"/v1/jobs/{job}/cancel")
    whole = live.api.get(f"/v1/jobs/{job}/events")
    assert whole.headers["content-type"].startswith("text/event-stream")
    assert [line for line in whole.text.splitlines() if line.startswith("id:")] == [
        "id: 1",
        "id: 2",
    ]
    assert "event: end" in whole.text
    rest = live.api.get(f"/v1/jobs/{job}/events", headers={"last-event-id": "1"}).text
    assert [line for line in rest.splitlines() if line.startswith("id:")] == ["id: 2"]
    assert (
        live.api.get(f"/v1/jobs/{job}/events", headers={"last-event-id": "x"}).status_code
        == 400
    )


def test_a_wait_is_woken_by_the_end(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "poll_s", lambda context: 15.0)
    job = live.submit()
    timer = threading.Timer(0.2, lambda: live.api.post(f"/v1/jobs/{job}/cancel"))
    timer.start()
    with sooner_than(15):
        answer = live.api.get(f"/v1/jobs/{job}/wait?timeout_s=15").json()
    assert answer["state"] == "CANCELLED"
    timer.join()


def test_clients_that_leave_free_their_streams(live: Live) -> None:
    job = live.submit()
    bus = live.app.state.context.bus

    async def listen_and_leave() -> None:
        async with httpx2.AsyncClient(
            base_url=live.api.base_url, headers=live.api.headers
        ) as api:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.gather(
                        *(api.get(f"/v1/jobs/{job}/events") for _ in range(20))
                    )

    asyncio.run(listen_and_leave())
    eventually(lambda: not bus._waiters.get(job))
