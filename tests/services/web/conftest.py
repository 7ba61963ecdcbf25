"""The gateway on the in-memory store without a dispatcher; tests act as the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from search.domains.learn.produce import draw_card
from services.gateway.app import create_app
from services.settings import Settings
from services.store.types import Completion, JobRecord, NewEvent
from tests.doubles.fitted_models import new_model
from tests.doubles.memory_store import MemoryStore
from tests.doubles.text_backend import InProcessBackend
from tests.services.web.html import Page
from trimtab.cards import Card
from trimtab.results import EventType

ORIGIN = "http://127.0.0.1"
EVIL = "<script>alert('x')</script>"  # hostile text, to be shown as text
PATHS = [
    "/",
    "/submit",
    "/submit/probe",
    "/submit/ilp",
    "/workers",
    "/models",
    "/model",
    "/keys",
    "/admin/usage",
    "/admin/retention",
    "/admin/webhooks",
    "/admin/audit",
]


@dataclass
class Reader:
    """A browser without scripts: follows redirects and sends browser headers."""

    client: TestClient
    store: MemoryStore
    key: str

    def get(self, path: str, status: int = 200, **headers: str) -> Page:
        """Open a page."""
        answer = self.client.get(path, headers={"accept": "text/html", **headers})
        assert answer.status_code == status, answer.text
        return Page(answer.text)

    def post(
        self, path: str, data: Any = None, *, files: Any = None, **headers: str
    ) -> httpx2.Response:
        """Post a form without following the redirect."""
        pairs: dict[str, list[str]] = {}
        for name, value in data or ():
            pairs.setdefault(name, []).append(value)
        sent = {
            "accept": "text/html",
            "origin": ORIGIN,
            "sec-fetch-site": "same-origin",
            **headers,
        }
        return self.client.post(
            path, data=pairs, files=files, headers=sent, follow_redirects=False
        )

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine of the store, which never waits, so that any loop will do."""
        return asyncio.run(work)

    def submit(self, **more: Any) -> str:
        """Queue a probe through the API; returns its id."""
        body = {"kind": "probe", "spec": {}, **more}
        answer = self.client.post(
            "/v1/jobs", json=body, headers={"authorization": f"Bearer {self.key}"}
        )
        assert answer.status_code in (200, 201, 202), answer.text
        return str(answer.json()["id"])

    def claim(self) -> JobRecord:
        """Claim the next job as the worker."""
        claims = self.do(
            self.store.claim("host-1:<b>7</b>", kinds=["probe", "ilp", "toy"], lease_s=30)
        )
        job: JobRecord = claims[0].job
        return job

    def tell(self, job: JobRecord, *events: tuple[EventType, dict[str, Any]]) -> None:
        """Append events as the worker."""
        news = [NewEvent(type=type_, data=data) for type_, data in events]
        self.do(self.store.append(job.id, job.fence, news))

    def register(self, number: int, card: Card, *, drawn: bool = True) -> str:
        """End a job that fitted a model, as the worker; returns the id of the model."""
        picture = None
        if drawn:
            picture = self.upload("card.svg", draw_card(card).encode())
        self.submit()
        model = new_model(number, card, picture=picture)
        self.complete(self.claim(), model=model)
        return model.id

    def upload(self, name: str, content: bytes) -> str:
        """Store a file through the API; returns its digest."""
        answer = self.client.post(
            f"/v1/artifacts?name={name}",
            content=content,
            headers={"authorization": f"Bearer {self.key}"},
        )
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["digest"])

    def complete(self, job: JobRecord, verb: str = "succeed", **more: Any) -> None:
        """End the attempt as the worker."""
        termination = {"reason": "completed", "limit": None, "detail": ""}
        completion = Completion(
            **{"verb": verb, "termination": termination, "outcome": "result", **more}
        )
        self.do(self.store.complete(job.id, job.fence, completion))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path, role="gateway", diagnostic_kinds=True, log_level="error"
    )


@pytest.fixture
def backend() -> InProcessBackend | None:
    """The language model of the server; tests of its page have one."""
    return None


@pytest.fixture
def stranger(settings: Settings, backend: InProcessBackend | None) -> Iterator[Reader]:
    """A browser that is not signed in."""
    store = MemoryStore()
    app = create_app(settings, store=store, text=backend)
    with TestClient(app, base_url=ORIGIN) as client:
        yield Reader(
            client=client, store=store, key=settings.admin_key_file.read_text().strip()
        )


@pytest.fixture
def reader(stranger: Reader) -> Reader:
    """A browser signed in as admin, by pasting the key."""
    page = stranger.get("/login")
    answer = stranger.post("/login", page.form("/login").fill(key=stranger.key))
    assert answer.status_code == 303, answer.text
    return stranger
