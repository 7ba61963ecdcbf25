"""The gateway on the in-memory store; tests act as the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore

JOB: dict[str, Any] = {"kind": "probe", "spec": {}, "budget": {"seconds": 5.0}}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        role="gateway",
        diagnostic_kinds=True,
        log_level="error",
        max_upload_bytes=2**22,
    )


@pytest.fixture
def anonymous(settings: Settings, store: MemoryStore) -> Iterator[TestClient]:
    """A client that sends no key by itself."""
    app = create_app(settings, store=store)
    with TestClient(
        app, base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def admin(settings: Settings, anonymous: TestClient) -> dict[str, str]:
    return {"authorization": f"Bearer {settings.admin_key_file.read_text().strip()}"}


@pytest.fixture
def key(anonymous: TestClient, admin: dict[str, str]) -> Callable[..., dict[str, str]]:
    """Make API keys; returns the header that sends one."""

    def make(tenant: str = "acme", *scopes: str, **more: Any) -> dict[str, str]:
        body = {
            "name": "test",
            "tenant": tenant,
            "scopes": list(scopes) or ["submitter"],
            **more,
        }
        answer = anonymous.post("/v1/keys", json=body, headers=admin)
        assert answer.status_code == 201, answer.text
        return {"authorization": f"Bearer {answer.json()['key']}"}

    return make
