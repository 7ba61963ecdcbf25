"""The recipe "Add an endpoint": a route, a row of `ROUTES` and a client method, nothing else.

Some tests check that today's endpoints keep to these places. The last one adds an endpoint at
run time and uses it through the parts that should pick it up by themselves.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.responses import Response

from services.gateway.app import create_app
from services.gateway.deps import Ctx, Viewer
from services.gateway.openapi import PUBLIC
from services.gateway.problems import MATHOPT_ROUTE, documented
from services.gateway.views import FastJson
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from trimtab import _core

ROOT = Path(__file__).parents[2]
CLIENTS = {
    "trimtab/_events.py",
    *(f"trimtab/{name}.py" for name in ("aio", "client", "_plan_aio", "_plan")),
}


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    settings = Settings(data_dir=tmp_path, role="gateway", log_level="error")
    return create_app(settings, store=MemoryStore())


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


# Called by the client of another project.
FOREIGN = {("POST", MATHOPT_ROUTE)}


def operations(app: FastAPI) -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path as the SDK writes it) → operation of the OpenAPI document."""
    return {
        (method.upper(), re.sub(r"\{(job|key)_id\}", "{id}", path)): operation
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


def test_every_endpoint_has_exactly_one_row_in_the_sdk(app: FastAPI) -> None:
    rows = Counter(_core.ROUTES.values())
    ours = operations(app).keys() - FOREIGN
    assert rows == Counter(dict.fromkeys(ours, 1))


def test_an_operation_is_named_in_the_clients_only() -> None:
    """Each row of ROUTES is used by the asynchronous client and named in no other module."""
    places: dict[str, set[str]] = defaultdict(set)
    for folder in ("trimtab", "services", "workers", "search"):
        for file in (ROOT / folder).rglob("*.py"):
            sdk = folder == "trimtab"
            for name in _operations_in(ast.parse(file.read_text()), sdk=sdk):
                places[name].add(file.relative_to(ROOT).as_posix())
    for name in _core.ROUTES:
        # `events` is sent by the shared reader of event streams
        sources = {"trimtab/aio.py", "trimtab/_plan_aio.py", "trimtab/_events.py"}
        assert places[name] & sources, name
        assert places[name] <= CLIENTS, name


def _operations_in(tree: ast.AST, *, sdk: bool) -> Iterator[str]:
    """Names of operations: `call("name")`, `ROUTES["name"]`; in the SDK `self._send_it("name")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            name = getattr(function, "attr", getattr(function, "id", ""))
            first = node.args[0]
            method = sdk and isinstance(function, ast.Attribute) and name.startswith("_")
            if (name == "call" or method) and isinstance(first, ast.Constant):
                yield str(first.value)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            table = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if table == "ROUTES":
                yield str(node.slice.value)


def test_every_endpoint_is_documented(app: FastAPI) -> None:
    document = app.openapi()
    schemas = document["components"]["schemas"]
    for name in re.findall(r"'#/components/schemas/([^']+)'", str(document)):
        assert name in schemas, f"{name}: add the model to SCHEMAS in gateway/openapi.py"
    names = Counter(operation["operationId"] for operation in operations(app).values())
    assert set(names.values()) == {1}
    for (method, path), operation in operations(app).items():
        where = f"{method} {path}"
        assert operation["summary"][0].isupper(), where
        assert not operation["summary"].endswith("."), where
        assert operation["description"].strip(), where
        if path not in PUBLIC:
            assert {"401", "403", "429"} <= set(operation["responses"]), where
            assert operation["security"], where


def test_every_route_names_its_scope_once(app: FastAPI) -> None:
    """`require` is the only place that says who may call a route; the access tests read it."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        calls = [dependency.call for dependency in route.dependant.dependencies]
        scopes = [call.scope for call in calls if hasattr(call, "scope")]
        assert len(scopes) == (route.path not in PUBLIC), route.path


def test_a_new_endpoint_needs_a_route_and_a_row(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter(prefix="/v1/echo", tags=["echo"])

    @router.get("/{text}", responses=documented(404), summary="Return a text")
    async def echo(text: str, ctx: Ctx, principal: Viewer) -> Response:
        """The text of the path."""
        return FastJson({"text": text, "tenant": principal.tenant})

    app.include_router(router)
    monkeypatch.setitem(_core.ROUTES, "echo", ("GET", "/v1/echo/{text}"))

    # The SDK builds the request, the gateway authenticates, answers and refuses.
    sent = _core.call("echo", text="a b")
    key = app.state.context.settings.admin_key_file.read_text().strip()
    headers = {"authorization": f"Bearer {key}"}
    assert client.request(sent.method, sent.path).status_code == 401
    answer = client.request(sent.method, sent.path, headers=headers)
    assert answer.json() == {"text": "a b", "tenant": "default"}
    assert client.post(sent.path, headers=headers).json()["status"] == 405

    # The description, its page and the metrics know the route without a change.
    operation = client.get("/openapi.json").json()["paths"]["/v1/echo/{text}"]["get"]
    assert operation["operationId"] == "echo"
    assert operation["security"] == [{"apiKey": []}, {"session": []}]
    assert {"401", "403", "404", "405", "413", "429"} <= set(operation["responses"])
    page = client.get("/docs").text
    assert "GET /v1/echo/{text}" in page
    assert "Return a text" in page
    metrics = client.get("/metrics", headers=headers).text
    assert 'route="/v1/echo/{text}",status="200"' in metrics
