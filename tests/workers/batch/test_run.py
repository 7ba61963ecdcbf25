"""Batch runs as people start them: real processes, real kills."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from search.rest import Rest
from trimtab.results import JobState, Reason, Termination
from workers.batch.jobs import read_jobs
from workers.batch.journal import BadJournal, Journal, Json
from workers.batch.run import Batch, pending, run
from workers.retry import Backoff
from workers.types import Execution, Outcome, OutcomeStatus, Progress, Task, TaskLimits


class Scripted:
    """Ends each run at once with the script's next status; `None` is silent until cancelled."""

    name = "scripted"
    capacity = 1

    def __init__(self, *script: OutcomeStatus | None, best: bytes | None = None) -> None:
        self.script = deque(script)
        self.best = best
        self.tasks: list[Task] = []

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def describe(self) -> Mapping[str, Any]:
        return {}

    async def start(self, task: Task) -> Execution:
        self.tasks.append(task)
        return ScriptedRun(self.script.popleft(), self.best)


class ScriptedRun:
    def __init__(self, status: OutcomeStatus | None, best: bytes | None = None) -> None:
        self._best = best
        self.silent_s = 0.0 if status else 1e6
        self._ended = asyncio.Event()
        self._status = status or OutcomeStatus.CANCELLED
        if status:
            self._ended.set()

    async def events(self) -> AsyncIterator[Progress]:
        await self._ended.wait()
        for item in list[Progress]():
            yield item

    async def result(self) -> Outcome:
        await self._ended.wait()
        result = {"objective": 1.0} if self._status is OutcomeStatus.RESULT else None
        rests = self._status is OutcomeStatus.RESTED
        memo = {"outline": {"goal": "g"}, "own": 1}
        return Outcome(
            status=self._status,
            termination=Termination(reason=Reason.COMPLETED),
            result=result,
            rest=Rest(state=JobState.AWAITING_APPROVAL, memo=memo) if rests else None,
        )

    async def stop(self) -> None:
        pass

    async def checkpoint(self) -> bytes | None:
        return self._best

    async def cancel(self) -> None:
        self._ended.set()

    async def close(self) -> None:
        pass


def one_job(folder: Path, executor: Scripted, **more: Any) -> Json:
    path = folder / "jobs.jsonl"
    path.write_text('{"id": "a", "kind": "probe", "spec": {}}\n')
    with Journal(folder / "out.jsonl", resume=False) as journal:
        batch = Batch(
            executor=executor,
            journal=journal,
            concurrency=1,
            limits=TaskLimits(),
            backoff=Backoff(base_s=0.001, cap_s=0.002),
            silence_s=0.05,
        )
        asyncio.run(run(batch, read_jobs(path), rng=random.Random(0)))
        (record,) = journal.records()
    return record


def test_a_job_that_rests_leaves_its_outline(tmp_path: Path) -> None:
    record = one_job(tmp_path, Scripted(OutcomeStatus.RESTED))
    assert (record["state"], record["attempts"]) == ("AWAITING_APPROVAL", 1)
    assert record["result"] == {"outline": {"goal": "g"}}
    assert "submit this job to a server" in record["termination"]["detail"]


def test_lost_runs_are_tried_again(tmp_path: Path) -> None:
    executor = Scripted(OutcomeStatus.LOST, OutcomeStatus.TRANSIENT, OutcomeStatus.RESULT)
    record = one_job(tmp_path, executor)
    assert (record["state"], record["attempts"]) == ("SUCCEEDED", 3)


def test_jobs_lost_too_often_are_dead(tmp_path: Path) -> None:
    record = one_job(tmp_path, Scripted(*[OutcomeStatus.LOST] * 3))
    assert (record["state"], record["attempts"]) == ("DEAD", 3)
    assert record["termination"]["limit"] == "attempts"


def test_lost_runs_best_is_the_next_ones_start_and_is_finished_in_the_end(
    tmp_path: Path,
) -> None:
    executor = Scripted(*[OutcomeStatus.LOST] * 3, OutcomeStatus.RESULT, best=b"best")
    record = one_job(tmp_path, executor)
    assert (record["state"], record["attempts"]) == ("SUCCEEDED", 4)
    assert [task.start for task in executor.tasks] == [None, b"best", b"best", b"best"]
    assert [task.finish is not None for task in executor.tasks] == [
        False,
        False,
        False,
        True,
    ]


def test_own_faults_are_not_tried_again(tmp_path: Path) -> None:
    record = one_job(tmp_path, Scripted(OutcomeStatus.FAILED))
    assert (record["state"], record["attempts"]) == ("FAILED", 1)


def test_silent_runs_are_killed_and_tried_again(tmp_path: Path) -> None:
    record = one_job(tmp_path, Scripted(None, OutcomeStatus.RESULT))
    assert (record["state"], record["attempts"]) == ("SUCCEEDED", 2)


def test_same_id_with_another_request_is_refused(tmp_path: Path) -> None:
    one_job(tmp_path, Scripted(OutcomeStatus.RESULT))
    (tmp_path / "jobs.jsonl").write_text(
        '{"id": "a", "kind": "probe", "spec": {"steps": 9}}\n'
    )
    with (
        Journal(tmp_path / "out.jsonl", resume=True) as journal,
        pytest.raises(BadJournal, match="another request"),
    ):
        pending(read_jobs(tmp_path / "jobs.jsonl"), journal)


# --- the command
def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "workers", "batch", *arguments]


def jobs_file(folder: Path, count: int, step_seconds: float = 0.0) -> Path:
    path = folder / "jobs.jsonl"
    lines = [
        {
            "id": f"j{n}",
            "kind": "probe",
            "spec": {"steps": 2, "step_seconds": step_seconds},
            "seed": n,
        }
        for n in range(count)
    ]
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n")
    return path


def ids(path: Path) -> list[str]:
    return [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()]


def test_command_runs_all_and_keeps_files(tmp_path: Path) -> None:
    jobs, out = jobs_file(tmp_path, 4), tmp_path / "out.jsonl"
    files = tmp_path / "files"
    done = subprocess.run(
        command(
            str(jobs),
            "--out",
            str(out),
            "--concurrency",
            "2",
            "--files",
            str(files),
            "--sandbox",
            "rlimit",
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(ids(out)) == ["j0", "j1", "j2", "j3"]
    record = orjson.loads(out.read_bytes().splitlines()[0])
    reference = record["result"]["artifacts"]["probe.txt"]
    assert (files / reference["digest"].removeprefix("sha256:")).read_text() == "0\n"
    assert "4 of 4 jobs done" in done.stderr


def test_command_says_by_its_code_that_a_job_failed(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"kind": "probe", "spec": {"steps": 0, "outcome": "crash"}}\n')
    done = subprocess.run(
        command(
            str(jobs),
            "--out",
            str(tmp_path / "o.parquet"),
            "--quiet",
            "--sandbox",
            "rlimit",
        ),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert (tmp_path / "o.parquet").is_file()
    assert (
        subprocess.run(
            command("nowhere", "--out", "x"), capture_output=True, check=False
        ).returncode
        == 2
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_batch_goes_on_and_does_each_job_once(
    tmp_path: Path, how: signal.Signals
) -> None:
    jobs, out = jobs_file(tmp_path, 7, step_seconds=0.05), tmp_path / "out.jsonl"
    arguments = (
        str(jobs),
        "--out",
        str(out),
        "--concurrency",
        "2",
        "--quiet",
        "--sandbox",
        "rlimit",
    )
    process = subprocess.Popen(
        command(*arguments), start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 90
        while not (out.exists() and out.read_bytes().count(b"\n") >= 3):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(process.pid, how)
        code = process.wait(timeout=90)
    assert code == (-9 if how is signal.SIGKILL else 130)
    before = ids(out)
    assert 3 <= len(before) < 7
    if how is signal.SIGKILL:
        with out.open("ab") as file:
            # As if the kill had come in the middle of a write.
            file.write(b'{"id": "torn')
    subprocess.run(command(*arguments, "--resume"), check=True, timeout=60)
    after = ids(out)
    assert after[: len(before)] == before
    assert sorted(after) == sorted(f"j{n}" for n in range(7))
