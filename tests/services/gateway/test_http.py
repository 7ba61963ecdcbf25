"""HTTP as other programs speak it: HEAD, Allow, forms as uploads, byte order marks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.services.gateway.conftest import JOB


@pytest.fixture
def api(anonymous: TestClient, key: Callable[..., dict[str, str]]) -> TestClient:
    """A client with a key of its own."""
    anonymous.headers.update(key())
    return anonymous


@pytest.mark.parametrize("path", ["/healthz", "/login", "/v1/kinds", "/v1/jobs/none"])
def test_head_has_the_headers_of_get_and_no_body(api: TestClient, path: str) -> None:
    full, head = api.get(path), api.head(path)
    assert head.status_code == full.status_code
    assert head.headers["content-type"] == full.headers["content-type"]
    assert head.content == b""


def test_head_of_a_stream_ends(api: TestClient) -> None:
    job = api.post("/v1/jobs", json=JOB).json()["id"]
    assert api.head(f"/v1/jobs/{job}/events").status_code == 200


def test_allow_names_the_methods_of_every_route_of_the_path(api: TestClient) -> None:
    refused = api.put("/v1/jobs", json=JOB)
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, HEAD, POST"
    assert "allowed: GET, HEAD, POST" in refused.json()["detail"]


@pytest.mark.parametrize("body", [{"files": {"file": b"x"}}, {"data": {"x": "Minimize"}}])
def test_a_form_is_no_upload(api: TestClient, body: dict[str, Any]) -> None:
    refused = api.post("/v1/artifacts?name=a.lp", **body)
    assert refused.status_code == 415
    assert "--data-binary" in refused.json()["fix"]


def test_a_byte_order_mark_before_json_is_skipped(api: TestClient) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(JOB).encode()
    kind = {"content-type": "application/json"}
    assert api.post("/v1/jobs", content=body, headers=kind).status_code == 202
