"""Client side of the server process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from solvers.llvm.install import find_llvm
from solvers.llvm.process import ServerProcess
from solvers.llvm.types import EngineDied
from tests.solvers.llvm.modules import PROGRAM
from tests.solvers.llvm.processes import gone


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ServerProcess]:
    made = ServerProcess(tmp_path)
    yield made
    made.close()


def first_request(process: ServerProcess) -> dict[str, object]:
    (process.folder / "input").write_bytes(PROGRAM)
    return {
        "library": str(find_llvm().library),
        "folder": str(process.folder),
        "llc": "",
        "triple": "x86_64-unknown-linux-gnu",
        "cpu": "x86-64",
        "features": "",
        "pic": True,
        "codegen": [],
        "seconds": 20.0,
        "memory_bytes": 1 << 30,
        "instructions": 1000,
    }


def test_replies_end_with_done(process: ServerProcess) -> None:
    (info,) = process.ask(first_request(process), seconds=20)
    assert info["done"]
    assert set(info["functions"]) == {"public", "helper", "caller"}
    request = {"op": "check", "pipelines": ["verify", "no-such-pass"]}
    *objections, last = process.ask(request, seconds=20)
    assert [reply["objection"] is None for reply in objections] == [True, False]
    assert last == {"done": True}


def test_a_signal_is_named_as_the_cause_of_death(process: ServerProcess) -> None:
    list(process.ask(first_request(process), seconds=20))
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(EngineDied, match="SIGKILL"):
        list(process.ask({"op": "check", "pipelines": []}, seconds=20))


def test_an_abandoned_request_ends_the_server(process: ServerProcess) -> None:
    list(process.ask(first_request(process), seconds=20))
    replies = process.ask({"op": "check", "pipelines": ["verify"] * 3}, seconds=20)
    next(replies)
    replies.close()  # unread replies would be taken for those of the next request
    assert gone(process.pid)


def test_a_silent_server_is_given_up(process: ServerProcess) -> None:
    list(process.ask(first_request(process), seconds=20))
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(EngineDied, match="did not answer for 0 s"):
        list(process.ask({"op": "check", "pipelines": []}, seconds=0.2))


def test_closing_removes_the_folder(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path)
    assert process.folder.stat().st_mode & 0o777 == 0o700
    process.close()
    assert gone(process.pid)
    assert list(tmp_path.iterdir()) == []
