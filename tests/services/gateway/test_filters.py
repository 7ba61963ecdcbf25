"""A filter that names nothing is refused by API and pages, with what there is."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Header
from fastapi.testclient import TestClient

from search.kinds import KINDS
from services.errors import BadRequest, NotFound
from services.gateway import filters, problems
from services.gateway.app import ROUTERS
from services.gateway.listing import Listing
from services.store.upkeep import ACTIONS, Deed
from trimtab.errors import InvalidBody, api_error
from trimtab.results import Problem


def test_an_unknown_kind_is_refused_with_the_kinds_that_exist() -> None:
    filters.require_kinds(["ilp", "learn"], KINDS)
    with pytest.raises(BadRequest, match="expected one of ilp, ") as refused:
        filters.require_kinds(["ilp", "foo"], KINDS)
    assert "learn" in str(refused.value)


@pytest.mark.parametrize(
    ("field", "text"),
    [("state", "foo"), ("sort", "foo"), ("model", "foo"), ("graph", "foo")],
)
def test_other_filters_of_the_list_are_refused(field: str, text: str) -> None:
    with pytest.raises(BadRequest, match=f"{field}: expected"):
        Listing.of_pairs([(field, text)])


def test_acts_of_the_audit_log_are_a_closed_list() -> None:
    for known in (None, "", "job", "job.submit"):
        filters.require_action(known)
    with pytest.raises(BadRequest, match=r"job\.submit"):
        filters.require_action("job.sumbit")
    with pytest.raises(ValueError, match="expected one of ACTIONS"):
        Deed(action="job.sumbit")


def test_every_act_of_the_code_is_in_the_list() -> None:
    written = {
        keyword.value.value
        for path in Path("services").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Deed"
        for keyword in node.keywords
        if keyword.arg == "action" and isinstance(keyword.value, ast.Constant)
    }
    assert written == ACTIONS


def test_an_unknown_tenant_is_refused() -> None:
    filters.require_tenant("a", ["a", "b"])
    with pytest.raises(NotFound, match="expected one of a, b, got 'c'"):
        filters.require_tenant("c", ["a", "b"])


def test_parameters_that_no_route_has_are_refused() -> None:
    router = APIRouter()

    @router.get("/none")
    async def none() -> int:
        return 1

    @router.get("/one")
    async def one(limit: int = 1) -> int:
        return limit

    app = FastAPI()
    app.include_router(router, dependencies=[Depends(filters.known_query)])
    problems.install(app)
    client = TestClient(app)
    assert (
        client.get("/none").status_code == client.get("/one?limit=2").status_code == 200
    )
    for path, told in (("/none?x=1", "expected none"), ("/one?limt=2", "one of limit")):
        answer = client.get(path)
        assert answer.status_code == 400
        assert told in answer.json()["detail"]


def test_the_title_names_the_place_of_a_bad_parameter() -> None:
    app = FastAPI()

    @app.post("/job/{number}")
    async def job(
        number: int,
        limit: int = 1,
        x_wait: Annotated[int, Header()] = 1,
        body: Annotated[int, Body()] = 1,
    ) -> int:
        return number + limit + x_wait + body

    problems.install(app)
    client = TestClient(app)
    for place, answer in {
        "path": client.post("/job/a"),
        "query": client.post("/job/1?limit=a"),
        "header": client.post("/job/1", headers={"x-wait": "a"}),
        "body": client.post("/job/1", json="a"),
    }.items():
        assert answer.status_code == 422
        told = answer.json()
        assert told["title"] == f"Invalid {place}"
        assert told["type"] == f"urn:trimtab:problem:invalid-{place}"
        assert isinstance(api_error(Problem.model_validate(told)), InvalidBody)


def test_parameters_of_a_query_model_are_known() -> None:
    (listed,) = (
        route
        for router in ROUTERS
        for route in router.routes
        if getattr(route, "path", "") == "/v1/jobs" and "GET" in route.methods
    )
    assert {"q", "kind", "state", "sort", "cursor", "limit"} <= set(
        filters._names(listed.dependant)
    )
