"""No process of a run reaches foreign files, sockets or processes, at any sandbox level."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from solvers import privileges
from tests.cases.service.hostile import PROCESSES
from workers.process import sandbox
from workers.process.pool import ProcessExecutor
from workers.process.sandbox import Level
from workers.types import Task, TaskLimits

pytestmark = pytest.mark.skipif(
    privileges.landlock_abi() < 1, reason="this kernel has no Landlock"
)


def levels() -> list[str]:
    return [
        level.value
        for level in Level
        if level is not Level.BWRAP or sandbox.bwrap_works()[0]
    ]


@pytest.mark.parametrize("level", levels())
def test_what_each_process_of_a_run_reaches(level: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "blobs").mkdir(parents=True)
    files = [data / "admin.key", data / "blobs" / "another-tenant"]
    for path in files:
        path.write_text("canary")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(data / "socket"))
        abstract.bind(f"\0trimtab-canary-{os.getpid()}")
        for listener in (unix, abstract):
            listener.listen()
        order = {
            "files": [str(path) for path in files],
            "folder": str(data),
            "tcp_port": tcp.getsockname()[1],
            "udp_port": udp.getsockname()[1],
            "unix_socket": str(data / "socket"),
            "abstract_socket": f"trimtab-canary-{os.getpid()}",
            "server_pid": os.getpid(),
        }
        reached = asyncio.run(_reached(level, tmp_path / "runs", order))
        for listener in (tcp, unix, abstract, udp):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept() if listener is not udp else listener.recv(100)
    signals = ["signal"] if level == "rlimit" and privileges.landlock_abi() < 6 else []
    assert reached == dict.fromkeys(PROCESSES, signals)
    assert not (data / "written-by-a-run").exists()


async def _reached(
    level: str, scratch: Path, order: dict[str, object]
) -> dict[str, list[str]]:
    executor = ProcessExecutor(workers=1, scratch_dir=scratch, sandbox=level)
    await executor.open()
    reached = {}
    try:
        for process in PROCESSES:
            task = Task(
                job_id=process,
                fence=1,
                kind="hostile",
                builder="tests.cases.service.hostile:build",
                spec_class="tests.cases.service.hostile:HostileSpec",
                spec={"process": process, **order},
                seed=0,
                budget={"seconds": 30.0},
                limits=TaskLimits(),
            )
            execution = await executor.start(task)
            outcome = await execution.result()
            assert outcome.produced, outcome.termination
            reached[process] = json.loads(outcome.produced[0].path.read_text())
            await execution.close()
    finally:
        await executor.close()
    return reached


def test_the_host_knows_what_holds() -> None:
    for level in levels():
        assert sandbox.protection(Level(level)) == sandbox.Protection(
            files=True, network=True
        )
        assert sandbox.protection(Level(level)).gaps == ""


def test_readable_folders_are_no_place_for_data(tmp_path: Path) -> None:
    assert sandbox.exposed(tmp_path) is None
    assert sandbox.exposed(Path("/usr/share/data")) == Path("/usr")
    assert sandbox.exposed(Path(sandbox.__file__).parent / "data") is not None


def test_a_second_thread_is_reported() -> None:
    """Landlock and seccomp restrict the calling thread: a process with others is not confined."""
    code = (
        "import threading, time\n"
        "from solvers import privileges\n"
        "threading.Thread(target=time.sleep, args=(5,), daemon=True).start()\n"
        "print(privileges.drop(readable=privileges.SYSTEM_FACTS, writable=()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{'files': False, 'network': False}"
