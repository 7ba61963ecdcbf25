"""Hostile and malformed requests: always a problem document, never a 500."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.services.gateway.conftest import JOB

Key = Callable[..., dict[str, str]]
TYPE = {"content-type": "application/json"}


def with_(**more: str) -> bytes:
    fields = {"kind": '"probe"', "spec": "{}", **more}
    return ("{" + ",".join(f'"{k}":{v}' for k, v in fields.items()) + "}").encode()


HOSTILE = {
    "empty": b"",
    "not json": b"{",
    "nan": with_(budget='{"seconds":NaN}'),
    "infinity": with_(budget='{"seconds":Infinity}'),
    "1e400": with_(budget='{"seconds":1e400}'),
    "5000 digits": with_(seed="9" * 5000),
    "5000 digits in a float": with_(budget='{"seconds":' + "9" * 5000 + "}"),
    "5000 digits for an object": with_(spec="9" * 5000),
    "5000 digits inside a list": with_(spec="[" + "9" * 5000 + "]"),
    "surrogate": with_(labels='{"a":"\\ud800"}'),
    "surrogate key": with_(labels='{"\\udfff":"a"}'),
    "NUL": with_(labels='{"a":"\\u0000"}'),
    "deep": b"[" * 100_000,
    "deep spec": with_(spec="[" * 100_000),
    "invalid utf-8": b'{"kind":"\xff"}',
    "unknown kind": b'{"kind":"nope","spec":{}}',
    "kind of another type": b'{"kind":[1],"spec":{}}',
    "unknown field": with_(sead="1"),
    "bool for int": with_(seed="true"),
    "list": b"[]",
    "private webhook": with_(webhook='{"url":"http://127.0.0.1/x"}'),
    "metadata webhook": with_(webhook='{"url":"http://169.254.169.254/"}'),
    "webhook with password": with_(webhook='{"url":"https://u:hunter2@example.com/"}'),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs:batch"])
def test_hostile_bodies(anonymous: TestClient, key: Key, name: str, path: str) -> None:
    body = HOSTILE[name] if path == "/v1/jobs" else b'{"jobs":[' + HOSTILE[name] + b"]}"
    answer = anonymous.post(path, content=body, headers={**key(), **TYPE})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.content)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["fix"]
    assert b"hunter2" not in answer.content


def test_a_bad_job_in_a_batch_is_named_and_nothing_is_stored(
    anonymous: TestClient, key: Key
) -> None:
    mine = key()
    answer = anonymous.post(
        "/v1/jobs:batch", json={"jobs": [JOB, JOB, {**JOB, "seed": -1}]}, headers=mine
    )
    assert answer.status_code == 422
    assert "2" in answer.json()["errors"][0]["path"]
    assert anonymous.get("/v1/jobs", headers=mine).json()["items"] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-type": "text/plain"}, 415), ({**TYPE, "content-encoding": "gzip"}, 415)],
)
def test_wrong_media(
    anonymous: TestClient, key: Key, headers: dict[str, str], status: int
) -> None:
    answer = anonymous.post(
        "/v1/jobs", content=json.dumps(JOB), headers={**key(), **headers}
    )
    assert answer.status_code == status


def test_large_bodies_with_and_without_length(
    anonymous: TestClient, settings: Settings, key: Key
) -> None:
    large = b" " * (settings.max_body_bytes + 1)
    headers = {**key(), **TYPE}
    assert anonymous.post("/v1/jobs", content=large, headers=headers).status_code == 413
    assert (
        anonymous.post("/v1/jobs", content=iter([large]), headers=headers).status_code
        == 413
    )


def test_no_route_and_no_method_are_problems(anonymous: TestClient) -> None:
    for answer, status in (
        (anonymous.get("/v1/nope"), 404),
        (anonymous.put("/v1/jobs"), 405),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (
            status,
            "application/problem+json",
        )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(bytes(2**24)), 413),
        (gzip.compress(b"x" * 999)[:-5], 422),
        (b"x" * (2**22 + 1), 413),
    ],
    ids=["bomb", "truncated", "too large"],
)
def test_bad_uploads_leave_nothing(
    anonymous: TestClient, settings: Settings, key: Key, body: bytes, status: int
) -> None:
    name = "m.mps.gz" if body[:2] == b"\x1f\x8b" else "m.mps"
    assert (
        anonymous.post(
            f"/v1/artifacts?name={name}", content=iter([body]), headers=key()
        ).status_code
        == status
    )
    blobs: Path = settings.data_dir / "blobs"
    assert [path for path in blobs.rglob("*") if path.is_file()] == []


def test_an_upload_comes_back_whole(anonymous: TestClient, key: Key) -> None:
    mine, body = key(), bytes(range(256)) * 5000
    stored = anonymous.post("/v1/artifacts?name=m.bin", content=body, headers=mine).json()
    assert (
        anonymous.get(f"/v1/artifacts/{stored['digest']}/content", headers=mine).content
        == body
    )


def test_idempotency_under_a_race(
    anonymous: TestClient, key: Key, store: MemoryStore
) -> None:
    headers = {**key(), "idempotency-key": "one"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: anonymous.post("/v1/jobs", json=JOB, headers=headers), range(16)
            )
        )
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (
        sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers)
        == 15
    )
    assert (
        anonymous.post("/v1/jobs", json={**JOB, "seed": 1}, headers=headers).status_code
        == 409
    )
