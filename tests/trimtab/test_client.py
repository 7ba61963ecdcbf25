"""The clients against a scripted transport that breaks in chosen ways."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from trimtab import AsyncClient, Client, IlpSpec, ProbeSpec, config
from trimtab._core import RetryPolicy
from trimtab.client import Job
from trimtab.errors import (
    ClientClosed,
    ConfigError,
    ConnectionFailed,
    DigestMismatch,
    InvalidBody,
    JobFailed,
)
from trimtab.files import LocalFile
from trimtab.results import JobState, JobView
from trimtab.solution import Variables

URL = "http://server.test"
FAST = RetryPolicy(first_s=0.001, most_s=0.002, deadline_s=5)


def view(state: str = "QUEUED", **more: Any) -> dict[str, Any]:
    made = {
        "id": "j1",
        "kind": "probe",
        "state": state,
        "budget": {},
        "created_at": "2026-01-01T00:00:00Z",
    }
    return {**made, **more}


def sse(*seqs: int) -> bytes:
    out = b""
    for seq in seqs:
        data = {
            "job_id": "j1",
            "seq": seq,
            "type": "incumbent",
            "at": "2026-01-01T00:00:00Z",
        }
        data["data"] = {
            "elapsed_s": float(seq),
            "objective": -1.0 * seq,
            "source": "a\u2028b",
        }
        text = json.dumps(data, ensure_ascii=False)
        out += f"event: incumbent\nid: {seq}\ndata: {text}\n\n".encode()
    return out


class Broken(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Bytes in small pieces, then a dropped connection."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __iter__(self) -> Iterator[bytes]:
        yield from (self.data[at : at + 7] for at in range(0, len(self.data), 7))
        raise httpx2.ReadError("dropped")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), 7):
            yield self.data[at : at + 7]
        raise httpx2.ReadError("dropped")


class Script:
    """Answers in order and records the requests."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        return Client(URL, api_key="k", retry=FAST, transport=httpx2.MockTransport(self))


def ok(body: Any, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def test_a_submit_is_repeated_with_one_key_through_every_passing_fault() -> None:
    script = Script(
        httpx2.ConnectError("no"),
        httpx2.Response(503, headers={"Retry-After": "0.01"}),
        httpx2.ReadError("lost answer"),
        httpx2.Response(429, headers={"Retry-After": "0"}),
        ok(view()),
    )
    with script.client() as client:
        assert client.submit(ProbeSpec(), seconds=3, labels={"a": "b"}).id == "j1"
    assert len({sent.headers["idempotency-key"] for sent in script.requests}) == 1
    assert json.loads(script.requests[-1].content)["budget"] == {"seconds": 3.0}


def test_a_call_that_is_not_repeatable_is_not_sent_twice() -> None:
    script = Script(httpx2.ReadError("lost answer"))
    with script.client() as client, pytest.raises(ConnectionFailed):
        client.create_key(name="x")
    assert len(script.requests) == 1


def test_a_problem_becomes_a_typed_error() -> None:
    problem = {
        "type": "x/invalid-body",
        "title": "Invalid",
        "status": 422,
        "detail": "d",
        "fix": "f",
        "request_id": "r",
    }
    with (
        Script(ok(problem, 422)).client() as client,
        pytest.raises(InvalidBody, match="to do: f") as caught,
    ):
        client.kinds()
    assert caught.value.request_id == "r"


def test_events_resume_without_loss_or_duplicates() -> None:
    first = httpx2.Response(200, stream=Broken(sse(1, 2) + sse(3)[:40]))
    script = Script(
        ok(view()),
        first,
        httpx2.Response(200, content=sse(2, 3, 4) + b"event: end\ndata: {}\n\n"),
    )
    with script.client() as client:
        assert [event.seq for event in client.job("j1").events()] == [1, 2, 3, 4]
    assert [sent.headers["last-event-id"] for sent in script.requests[1:]] == ["0", "2"]


def test_async_events_resume_too() -> None:
    async def run() -> list[float]:
        first = httpx2.Response(200, stream=Broken(sse(1)))
        script = Script(
            ok(view()), first, httpx2.Response(200, content=sse(1, 2) + b"event: end\n\n")
        )
        async with AsyncClient(
            URL, api_key="k", retry=FAST, transport=httpx2.MockTransport(script)
        ) as client:
            job = await client.job("j1")
            return [point.elapsed_s async for point in job.incumbents()]

    assert asyncio.run(run()) == [1.0, 2.0]


def test_result_of_a_failed_job_raises_with_its_termination() -> None:
    ended = view("FAILED", termination={"reason": "invalid_input", "detail": "no rows"})
    with (
        Script(ok(view()), ok(ended)).client() as client,
        pytest.raises(JobFailed, match="no rows"),
    ):
        client.job("j1").result()


def test_a_state_of_a_newer_server_is_one_that_has_not_ended() -> None:
    related = [{"job": "j0", "needs": "done", "state": "ASLEEP"}]
    script = Script(
        ok(view("PAUSED", after=related)),
        ok(view("PAUSED")),
        ok(view("AWAITING_APPROVAL")),
        ok(view("SUCCEEDED")),
    )
    with script.client() as client:
        job = client.job("j1")
        assert (str(job.state), job.state.is_terminal) == ("PAUSED", False)
        assert job.view.after[0].state not in set(JobState)
        assert json.loads(job.view.model_dump_json())["state"] == "PAUSED"
        assert job.wait(timeout_s=5, through_rest=True).state is JobState.SUCCEEDED
    assert script.answers == []


def test_local_files_are_uploaded_on_submit_and_stay_off_the_wire(tmp_path: Path) -> None:
    model = tmp_path / "m.mps"
    model.write_bytes(b"NAME\n")
    digest = "sha256:" + hashlib.sha256(b"NAME\n").hexdigest()
    missing = ok({"type": "x", "title": "t", "status": 404, "detail": "d"}, 404)
    script = Script(missing, ok({"digest": digest, "name": "m.mps"}), ok(view()))
    with script.client() as client:
        client.submit(IlpSpec.from_file(model))
    assert script.requests[1].read() == b"NAME\n"
    assert json.loads(script.requests[2].content)["spec"]["model"] == {
        "digest": digest,
        "name": "m.mps",
        "size_bytes": 5,
    }


def test_a_download_is_restarted_when_truncated_and_refused_when_altered(
    tmp_path: Path,
) -> None:
    (tmp_path / "src").write_bytes(b"good")
    ref = LocalFile.of(tmp_path / "src")
    script = Script(
        httpx2.Response(200, stream=Broken(b"go")), httpx2.Response(200, content=b"good")
    )
    with script.client() as client:
        assert client.download(ref, tmp_path / "to").read_bytes() == b"good"
    with (
        Script(httpx2.Response(200, content=b"evil")).client() as client,
        pytest.raises(DigestMismatch),
    ):
        client.download(ref, tmp_path / "bad")
    assert sorted(os.listdir(tmp_path)) == ["src", "to"]


def test_an_open_key_file_is_refused_and_the_key_stays_on_this_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRIMTAB_URL", "TRIMTAB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path))
    (tmp_path / "server.json").write_text(json.dumps({"url": URL}))
    key = tmp_path / "admin.key"
    key.write_text("secret\n")
    key.chmod(0o600)
    assert config.find().api_key == "secret"
    assert config.find("http://elsewhere.test").api_key is None
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        config.find()


def test_map_keeps_the_order() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            jobs = json.loads(request.content)["jobs"]
            return ok({"items": [view(id=f"j{job['spec']['steps']}") for job in jobs]})
        return ok(view("SUCCEEDED", id=request.url.path.split("/")[3]))

    with Client(URL, api_key="k", transport=httpx2.MockTransport(answer)) as client:
        ended = client.map((ProbeSpec(steps=n) for n in range(9)), concurrency=3)
        assert [job.id for job in ended] == [f"j{n}" for n in range(9)]


def test_exit_code_of_an_unreachable_server() -> None:
    environment = {**os.environ, "TRIMTAB_URL": "ftp://x"}
    done = subprocess.run(
        [sys.executable, "-m", "trimtab.cli", "get", "j"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "expected a URL" in done.stderr


def test_values_of_a_closed_client_raise_its_own_error() -> None:
    digest = "sha256:" + 64 * "0"
    result = {
        "kind": "ilp",
        "termination": {"reason": "optimal"},
        "verification": {"status": "valid"},
        "artifacts": {"solution.json": {"digest": digest}},
        "seed": 0,
    }
    script = Script(ok(view("SUCCEEDED")), ok(result))
    variables = Variables(
        source="model", names=("x",), file_names=("x",), locate=lambda _: None
    )
    with script.client() as client:
        answer = Job(
            client, JobView.model_validate_json(json.dumps(view())), variables
        ).result()
    with pytest.raises(ClientClosed, match="before you close the client"):
        answer.value("x")


def test_requests_of_a_closed_client_raise_its_own_error() -> None:
    script = Script()

    async def run() -> None:
        client = AsyncClient(
            URL, api_key="k", retry=FAST, transport=httpx2.MockTransport(script)
        )
        await client.close()
        with pytest.raises(ClientClosed):
            await client.me()
        with pytest.raises(ClientClosed):
            await client.healthy()

    asyncio.run(run())
    assert not script.requests
