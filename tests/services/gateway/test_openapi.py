"""Schemathesis on our OpenAPI description: no 5xx, only documented answers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.python.asgi import ASGIClient, get_client
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    status_code_conformance,
)

from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.doubles.text_backend import InProcessBackend
from tests.postgres import postgres_server, postgres_url
from tests.services.gateway.conftest import JOB

__all__ = ["postgres_server", "postgres_url"]

BASE = "http://127.0.0.1"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Each store has refusals of its own; none may reach a client as a 500."""
    url = (
        request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    )
    more = {} if url is None else {"database_url": url}
    return Settings(
        data_dir=tmp_path,
        role="gateway",
        diagnostic_kinds=True,
        log_level="error",
        **more,
    )


@pytest.fixture
def client(request: pytest.FixtureRequest, settings: Settings) -> Iterator[ASGIClient]:
    """Schemathesis's client, kept open: it would start the application anew for each call."""
    memory = "memory" in request.node.callspec.id
    # With a language model and without: its routes have refusals of their own in either case.
    text = InProcessBackend() if memory else None
    app = create_app(settings, store=MemoryStore() if memory else None, text=text)
    with get_client(app) as client:
        yield client


def test_our_own_description(
    client: ASGIClient, settings: Settings, request: pytest.FixtureRequest
) -> None:
    admin = {"authorization": f"Bearer {settings.admin_key_file.read_text().strip()}"}
    schema = schemathesis.openapi.from_dict(client.get(f"{BASE}/openapi.json").json())
    schema.app = client.app
    operations = [result.ok() for result in schema.get_all_operations()]
    # Random ids yield only 404, so every second call uses a job that exists. It has ended, so
    # that no call waits for it.
    ended = client.post(f"{BASE}/v1/jobs", json=JOB, headers=admin).json()["id"]
    client.post(f"{BASE}/v1/jobs/{ended}/cancel", headers=admin)
    calls = itertools.count()
    # Some operations have only a few different calls; the others make up for them.
    each = max(3, round(13_000 * request.config.getoption("--scale") / len(operations)))
    faults: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    for operation in operations:

        @hypothesis_settings(
            max_examples=each,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def run(case: schemathesis.Case) -> None:
            if (
                "job_id" in case.path_parameters
                and case.method == "GET"
                and next(calls) % 2
            ):
                case.path_parameters["job_id"] = ended
            # Random names of a model yield only 404.
            if isinstance(case.body, dict) and "model" in case.body and next(calls) % 4:
                case.body["model"] = "default"
            answer = case.call(base_url=BASE, session=client, headers=admin)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        try:
            run()
        except Exception as error:  # collect the faults of every operation
            faults[operation.label] = str(error)[:300]
    print(dict(statuses))
    assert faults == {}
    assert statuses.total() >= each  # calls were made
    assert statuses[401] < statuses.total() / 10  # and most were authenticated
