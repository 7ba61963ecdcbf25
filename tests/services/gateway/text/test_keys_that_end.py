"""Keys and sessions that end in the middle of each kind of stream."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from services.gateway import watch
from services.gateway.auth import COOKIE
from tests.doubles.text_backend import InProcessBackend
from tests.doubles.text_model import SLOW_TOKEN_S
from tests.services.gateway.text.conftest import TextServer
from tests.waiting import PATIENCE_S, sooner_than

JOB = {"kind": "probe", "spec": {}, "budget": {"seconds": 5.0}}
FILE = 32 * 2**20  # beyond what the sockets of a connection hold
PART = 2**16


@pytest.fixture
def served(
    start: Callable[..., TextServer], monkeypatch: pytest.MonkeyPatch
) -> TextServer:
    monkeypatch.setattr(watch, "LOOK_S", 0.0)
    return start(InProcessBackend(), diagnostic_kinds=True, text_max_tokens=900)


def revoke(server: TextServer, key: str) -> None:
    answer = server.api.delete(f"/v1/keys/{key[3:15]}", headers=bearer(server.admin))
    assert answer.status_code == 204, answer.text


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_download_is_cut_off(served: TextServer) -> None:
    key = served.key(tenant="t", scopes=["submitter"])
    file = bytes(FILE)
    stored = served.api.post(
        "/v1/artifacts?name=a.lp", content=file, headers=bearer(key)
    ).json()
    path = f"/v1/artifacts/{stored['digest']}/content"
    got = 0
    with (  # noqa: PT012 - the transfer breaks in the middle of the loop
        served.api.stream("GET", path, headers=bearer(key)) as answer,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        assert int(answer.headers["content-length"]) == FILE
        for number, chunk in enumerate(answer.iter_raw(PART)):
            got += len(chunk)
            if number == 1:
                revoke(served, key)
    assert got < FILE
    assert served.api.get("/healthz").status_code == 200


def test_an_upload_is_refused_and_leaves_nothing(served: TextServer) -> None:
    key = served.key(tenant="t", scopes=["submitter"])

    def body() -> Iterator[bytes]:
        yield b"first"
        time.sleep(0.1)  # the server has begun to read
        revoke(served, key)
        yield b"second"

    answer = served.api.post(
        "/v1/artifacts?name=a.lp", content=body(), headers=bearer(key)
    )
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]
    blobs = served.app.state.context.settings.data_dir / "blobs"
    assert [path for path in blobs.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("stream", [True, False])
def test_a_generation_ends(served: TextServer, stream: bool) -> None:
    key = served.key(tenant="t", scopes=["submitter"])
    revoking = threading.Timer(0.4, revoke, (served, key))
    revoking.start()
    body = {"messages": [{"role": "user", "content": "long slowly"}], "stream": stream}
    with sooner_than(900 * SLOW_TOKEN_S):
        answer = served.post(
            "/v1/chat/completions", {"model": "echo", "max_tokens": 900, **body}, key=key
        )
    revoking.join()
    assert "revoked" in answer.text
    assert answer.status_code == (200 if stream else 401)


def test_events_and_waits_end_with_an_expired_key(served: TextServer) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    key = served.key(tenant="t", scopes=["submitter"], expires_at=soon)
    job = served.post("/v1/jobs", JOB, key=key).json()["id"]
    answers: dict[str, httpx2.Response] = {}

    def ask(path: str) -> None:
        answers[path] = served.api.get(f"/v1/jobs/{job}/{path}", headers=bearer(key))

    asking = [threading.Thread(target=ask, args=(p,)) for p in ("events", "wait")]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(PATIENCE_S)
    assert ended(answers["events"])["status"] == 401
    assert "expired" in answers["events"].text
    assert answers["wait"].status_code == 401
    assert "expired" in answers["wait"].json()["detail"]


def test_events_end_with_the_session_of_a_page(served: TextServer) -> None:
    job = served.post("/v1/jobs", JOB).json()["id"]
    page = {"origin": served.url}
    signed_in = served.api.post("/login", data={"key": served.admin}, headers=page)
    page["cookie"] = f"{COOKIE}={signed_in.cookies[COOKIE]}"
    served.api.cookies.clear()

    def sign_out() -> None:
        served.api.post("/logout", headers=page)

    timer = threading.Timer(0.5, sign_out)
    timer.start()
    answer = served.api.get(f"/v1/jobs/{job}/events", headers=page)
    timer.join()
    assert ended(answer) == {"status": 401, "detail": "the session has ended"}


def ended(answer: httpx2.Response) -> dict[str, Any]:
    text = answer.text
    end: dict[str, Any] = json.loads(
        text[text.index("event: end") :].partition("data: ")[2].split("\n")[0]
    )
    return end
