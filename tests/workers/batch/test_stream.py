"""Jobs over pipes: events, records, a stop, a cancel, and the end of the parent."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.workers.batch.test_run import Scripted
from workers.batch.journal import Json
from workers.batch.stream import serve
from workers.types import OutcomeStatus, TaskLimits

JOB = {"kind": "probe", "spec": {"steps": 1}, "budget": {"seconds": 5}}


def run(script: list[OutcomeStatus | None], *messages: Any) -> list[Json]:
    """Return what is sent for these messages; the pipe stays open until all jobs ended."""
    reading, writing = os.pipe()
    sent: list[Json] = []
    left = sum(message.get("type") == "run" for message in messages)

    def send(message: Json) -> None:
        nonlocal left
        sent.append(message)
        left -= message["type"] == "done"
        if message["type"] == "done" and left == 0:
            os.close(writing)

    for message in messages:
        os.write(writing, json.dumps(message).encode() + b"\n")
    if not left:
        os.close(writing)
    with os.fdopen(reading, "rb") as source:
        asyncio.run(serve(Scripted(*script), TaskLimits(), source=source, send=send))
    return sent


def test_a_job_ends_with_its_record() -> None:
    sent = run([OutcomeStatus.RESULT], {"type": "run", "job": JOB})
    assert sent[0] == {"type": "ready"}
    record = sent[-1]["record"]
    assert (record["state"], record["result"]["objective"]) == ("SUCCEEDED", 1.0)


def test_a_cancelled_job_has_a_record_too() -> None:
    sent = run([None], {"type": "run", "job": JOB}, {"type": "cancel"})
    assert sent[-1]["record"] == {"state": "CANCELLED", "result": None}


def test_a_bad_job_is_a_failed_record() -> None:
    sent = run([], {"type": "run", "job": {"kind": "nonsense"}})
    assert sent[-1]["record"]["state"] == "FAILED"
    assert "expected one of" in sent[-1]["record"]["termination"]["detail"]


@pytest.mark.parametrize("message", [{}, {"type": "jump"}])
def test_an_unknown_message_is_a_fault(message: Json) -> None:
    sent = run([], message)
    assert sent[-1]["type"] == "fault"
    assert "expected run" in sent[-1]["detail"]


def test_the_end_of_the_pipe_ends_a_running_job() -> None:
    source: BinaryIO = io.BytesIO(json.dumps({"type": "run", "job": JOB}).encode())
    sent: list[Json] = []
    asyncio.run(serve(Scripted(None), TaskLimits(), source=source, send=sent.append))
    assert sent[-1]["record"]["state"] == "CANCELLED"


def test_a_real_child_answers_and_leaves_nothing(tmp_path: Path) -> None:
    job = {**JOB, "id": "a"}
    message = {"type": "run", "job": job, "files": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "workers", "stream", "--sandbox", "rlimit"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
        lines = [json.loads(child.stdout.readline())]
        while lines[-1]["type"] != "done":
            lines.append(json.loads(child.stdout.readline()))
        child.stdin.close()
        assert child.wait(90) == 0
    assert lines[-1]["record"]["state"] == "SUCCEEDED"
    assert "event" in {line["type"] for line in lines}
