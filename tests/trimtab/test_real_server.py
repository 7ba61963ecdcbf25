"""SDK and command line against a real server process: real HTTP, real runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.gateway.problems import MATHOPT_ROUTE
from trimtab import AsyncClient, Client, IlpSpec, JobState, ProbeSpec
from trimtab._core import ROUTES
from trimtab.errors import Conflict, JobFailed, NotFound, TrimtabError, WaitTimeout
from trimtab.specs.common import After, JobRequest
from workers.bench.service.harness import Server

LP = "Maximize\n o: 2 x + 3 y\nSubject To\n a: x + y <= 4\n b: x + 3 y <= 6\nGeneral\n x y\nEnd\n"


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.url, api_key=server.key)


def test_the_sdk_covers_every_operation(server: Server) -> None:
    _, document = server.get("/openapi.json")
    offered = {
        (method.upper(), path.replace("{job_id}", "{id}").replace("{key_id}", "{id}"))
        for path, operations in document["paths"].items()
        for method in operations
    }
    offered.remove(("POST", MATHOPT_ROUTE))  # for OR-Tools' own client
    assert offered - set(ROUTES.values()) == set(), "operations the SDK lacks"
    assert set(ROUTES.values()) - offered == set(), "operations the server lacks"


def test_submit_watch_result_and_files(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "tiny.lp"
    file.write_text(LP)
    with client:
        job = client.submit(IlpSpec.from_file(file), seconds=20, labels={"who": "test"})
        points = list(job.incumbents())
        view = job.wait(timeout_s=90)
        result = job.result()
        assert view.state is JobState.SUCCEEDED
        assert points[-1].objective == result.objective == 9.0
        assert result.verification.status == "valid"
        assert result.verification.objective_exact == "9"
        saved = job.download("solution.sol", tmp_path / "out.sol")
        assert Path(saved).read_text().startswith("=obj= 9")
        assert [e.seq for e in job.events()] == list(
            range(1, len(list(job.events())) + 1)
        )
        assert [j.id for j in client.jobs(labels={"who": "test"})] == [job.id]


def test_stop_cancel_retry_delete(client: Client) -> None:
    with client:
        long = ProbeSpec(steps=100_000, step_seconds=0.02)
        stopped = client.submit(long, seconds=60)
        for point in stopped.incumbents():
            if point.objective is not None:
                break
        stopped.stop()
        assert stopped.wait(timeout_s=90).state is JobState.SUCCEEDED
        assert stopped.result().termination.limit == "stopped"
        cancelled = client.submit(long, seconds=60)
        cancelled.cancel()
        assert cancelled.wait(timeout_s=90).state is JobState.CANCELLED
        with pytest.raises(JobFailed, match="CANCELLED"):
            cancelled.result()
        cancelled.retry()
        with pytest.raises(Conflict):
            cancelled.delete()
        with pytest.raises(WaitTimeout):
            cancelled.wait(timeout_s=0.3)
        cancelled.cancel()
        cancelled.wait(timeout_s=90)
        cancelled.delete()
        with pytest.raises(NotFound):
            client.job(cancelled.id)


def test_failed_jobs_say_why(client: Client) -> None:
    with client:
        job = client.submit(
            IlpSpec(model_text="no model at all", format="lp"), seconds=10
        )
        assert job.wait(timeout_s=90).state is JobState.FAILED
        with pytest.raises(JobFailed, match="invalid_input"):
            job.result()


def test_the_command_line_says_why_a_source_did_not_compile(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "wrong.c").write_text("int main(void) { return nothing; }\n")
    environment = {**os.environ, "TRIMTAB_URL": server.url, "TRIMTAB_API_KEY": server.key}
    command = [
        sys.executable,
        "-m",
        "trimtab.cli",
        "submit",
        str(tmp_path / "wrong.c"),
        "--seconds",
        "10",
        "--watch",
    ]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "FAILED" in done.stdout
    assert "invalid_input" in done.stderr
    assert "use of undeclared identifier 'nothing'" in done.stderr
    job_id = done.stdout.split()[0]
    watched = subprocess.run(
        [*command[:3], "watch", job_id],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "use of undeclared identifier 'nothing'" in watched.stderr


def test_map_keeps_the_order_of_many(client: Client) -> None:
    with client:
        specs = [ProbeSpec(steps=n % 3 + 1) for n in range(4)]
        jobs = list(client.map(specs, seconds=20))
        traces = [len(job.result().trace) for job in jobs]
        assert traces == [n % 3 + 1 for n in range(4)]
        assert all(job.result().objective == 0.0 for job in jobs)


def test_the_same_key_is_the_same_job(client: Client) -> None:
    with client:
        first = client.submit(ProbeSpec(steps=1), seconds=10, idempotency_key="sdk-once")
        again = client.submit(ProbeSpec(steps=1), seconds=10, idempotency_key="sdk-once")
        assert first.id == again.id
        with pytest.raises(Conflict):
            client.submit(ProbeSpec(steps=2), seconds=10, idempotency_key="sdk-once")


def test_async_client(server: Server) -> None:
    async def go() -> tuple[JobState, float | None]:
        async with AsyncClient(server.url, api_key=server.key) as client:
            job = await client.submit(ProbeSpec(steps=4, step_seconds=0.01), seconds=20)
            last = None
            async for point in job.incumbents():
                last = point.objective
            view = await job.wait(timeout_s=90)
            result = await job.result()
            assert result.objective == last
            return view.state, last

    assert asyncio.run(go()) == (JobState.SUCCEEDED, 0.0)


def run(
    server: Server, *arguments: str, key: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRIMTAB_")}
    environment |= {"TRIMTAB_URL": server.url, "TRIMTAB_API_KEY": key or server.key}
    command = [sys.executable, "-m", "trimtab.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )


def test_command_line_from_submit_to_report(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "tiny.lp"
    file.write_text(LP)
    done = run(server, "submit", str(file), "--seconds", "20", "--watch", "--report")
    assert done.returncode == 0, done.stderr
    assert "incumbent 9" in done.stderr
    assert "rational arithmetic" in done.stdout
    assert "every row, bound and integrality holds exactly" in done.stdout
    listed = run(server, "list", "--json")
    assert listed.returncode == 0
    assert json.loads(listed.stdout.splitlines()[0])
    first = json.loads(listed.stdout.splitlines()[0])
    rows = first if isinstance(first, list) else first.get("items", [first])
    job_id = rows[0]["id"]
    events = run(server, "watch", job_id, "--json")
    assert json.loads(events.stdout.splitlines()[0])["seq"] == 1
    assert json.loads(run(server, "open", "--json").stdout)["url"].startswith(server.url)
    opened = run(server, "open", "--print")
    assert opened.stdout.strip().startswith(f"{server.url}/login?ticket=")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["get", "job_01ZZZZZZZZZZZZZZZZZZZZZZZZ"], 5),
        (["submit", "/no/such/file.mps"], 2),
        (["kinds"], 0),
        (["no-such-command"], 2),
    ],
)
def test_exit_codes(server: Server, arguments: list[str], code: int) -> None:
    done = run(server, *arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    if code:
        assert done.stderr.strip(), "an error says something"
        assert "Traceback" not in done.stderr


def test_exit_codes_of_jobs_and_keys(server: Server, tmp_path: Path) -> None:
    bad = tmp_path / "bad.lp"
    bad.write_text("garbage\n")
    assert run(server, "submit", str(bad), "--seconds", "5", "--wait").returncode == 1
    wrong = "tt_" + "a" * 12 + "_" + "b" * 43
    assert run(server, "list", key=wrong).returncode == 4
    with Client(server.url, api_key=server.key) as client:
        job = client.submit(ProbeSpec(steps=1000, step_seconds=0.05), seconds=60)
        job.cancel()
        job.wait(timeout_s=90)
    assert run(server, "watch", job.id).returncode == 7


def test_every_error_is_a_trimtab_error(server: Server) -> None:
    with (
        Client(server.url, api_key="tt_wrong") as client,
        pytest.raises(TrimtabError) as caught,
    ):
        list(client.jobs())
    assert "tt_<id>_<secret>" in str(caught.value)


def test_a_job_starts_from_the_file_of_another(client: Client) -> None:
    with client:
        first = client.submit(IlpSpec(model_text=LP, format="lp"), seconds=20)
        spec = IlpSpec(
            model_text=LP, format="lp", warm_start=first.output("solution.sol")
        )
        second = client.submit(spec, seconds=20)
        third = client.submit(ProbeSpec(), seconds=5, after=[second, first.id])
        assert second.state is JobState.WAITING
        assert third.wait(timeout_s=60).state is JobState.SUCCEEDED
        view = second.refresh()
        assert view.state is JobState.SUCCEEDED
        assert [(one.job, one.state) for one in view.after] == [
            (first.id, JobState.SUCCEEDED)
        ]
        assert [one.job for one in view.needed_by] == [third.id]
        assert second.result().objective == 9.0
        assert first.view.created_at <= second.view.created_at


def test_a_failed_job_skips_what_needs_it(client: Client) -> None:
    with client:
        bad, child, anyway = client.submit_batch(
            [
                JobRequest(kind="probe", spec=ProbeSpec(outcome="invalid")),
                JobRequest(kind="probe", spec=ProbeSpec(), after=[After(job="#0")]),
                JobRequest(
                    kind="probe", spec=ProbeSpec(), after=[After(job="#1", needs="done")]
                ),
            ]
        )
        assert anyway.wait(timeout_s=60).state is JobState.SUCCEEDED
        with pytest.raises(JobFailed, match=bad.id):
            child.result()
        assert child.state is JobState.SKIPPED
