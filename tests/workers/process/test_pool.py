"""Executor `process` at both levels of the sandbox; it leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.contracts.executor import (
    SECRETS,
    ExecutorContract,
    Run,
    behaviour,
    first,
    outcome_of,
    probe,
    running,
)
from tests.waiting import PATIENCE_S, eventually_true, sooner_than
from trimtab.results import EventType, Limit, Reason
from workers.process import process_tree
from workers.process.pool import ProcessExecutor
from workers.process.sandbox import SandboxUnavailable, bwrap_works, choose_level
from workers.types import Execution, OutcomeStatus, TaskLimits


def processes_of(execution: Execution) -> list[int]:
    return process_tree.of_run(execution.current._child.workdir)  # type: ignore[attr-defined]


def child_of(execution: Execution) -> int:
    """The process that runs `workers.process.child`, which under bubblewrap is a grandchild."""
    for pid in processes_of(execution):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if words[0].endswith((b"python", b"python3", b"python3.11")):
            return pid
    raise AssertionError("no child")


async def heard(execution: Execution) -> None:
    """Wait for the next frame of the child."""
    began = time.monotonic()
    await eventually_true(lambda: execution.silent_s < time.monotonic() - began)


class ProcessContract(ExecutorContract):
    level: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def executor(
        cls, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[ProcessExecutor]:
        scratch = tmp_path_factory.mktemp(cls.level)
        made = ProcessExecutor(workers=2, scratch_dir=scratch, sandbox=cls.level)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in SECRETS.items():
                patch.setenv(name, value)
            runner.run(made.open())
            yield made
            runner.run(made.close())
        assert not list(scratch.iterdir()), "every run folder is removed"

    def test_unsound_pictures_are_left_out(
        self, executor: ProcessExecutor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, behaviour("unsound_pictures")) as execution:
                events = [event async for event in execution.events()]
                outcome = await execution.result()
            assert outcome.status is OutcomeStatus.RESULT
            points = [e.data for e in events if e.type is EventType.INCUMBENT]
            assert [point["objective"] for point in points] == [1.0]
            assert not any("pictures" in point for point in points)
            logs = [e.data["message"] for e in events if e.type is EventType.LOG]
            assert any("pictures of an incumbent were left out" in log for log in logs)

        run(body())

    def test_killed_child_is_lost_and_not_to_blame(
        self, executor: ProcessExecutor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=0, outcome="hang")) as execution:
                await first(execution, EventType.PHASE)
                os.kill(child_of(execution), signal.SIGKILL)
                outcome = await execution.result()
            assert (outcome.status, outcome.termination.reason) == (
                OutcomeStatus.LOST,
                Reason.WORKER_LOST,
            )
            assert "SIGKILL" in outcome.termination.detail

        run(body())

    def test_paused_child_falls_silent_and_hurts_nobody_else(
        self, executor: ProcessExecutor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=1, outcome="hang")) as execution:
                await first(execution, EventType.INCUMBENT)
                os.kill(child_of(execution), signal.SIGSTOP)
                assert (
                    await outcome_of(executor, probe(steps=1))
                ).status is OutcomeStatus.RESULT
                while execution.silent_s < 1.2:
                    await asyncio.sleep(0.05)
                with sooner_than(30):
                    await execution.cancel()
                assert processes_of(execution) == []

        run(body())

    def test_child_that_only_works_is_heard(
        self, executor: ProcessExecutor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=1, outcome="hang")) as execution:
                await first(execution, EventType.INCUMBENT)
                await heard(execution)
                await heard(execution)

        run(body())

    @pytest.mark.parametrize("does", ["spawn_and_hang", "deaf"])
    def test_cancel_leaves_nothing(
        self, executor: ProcessExecutor, run: Run, does: str
    ) -> None:
        async def body() -> None:
            async with running(executor, behaviour(does)) as execution:
                await first(execution, EventType.INCUMBENT)
                assert processes_of(execution)
                await execution.cancel()
                assert processes_of(execution) == []

        run(body())

    @pytest.mark.parametrize("dies_by", [0, signal.SIGSEGV])
    def test_daemon_of_a_run_is_found_and_killed(
        self, executor: ProcessExecutor, run: Run, dies_by: int
    ) -> None:
        async def body() -> None:
            # What holds the run's files sleeps for 300 s, and must not hold up its end.
            with sooner_than(300):
                async with running(
                    executor, behaviour("escape", number=int(dies_by))
                ) as execution:
                    outcome = await execution.result()
                    assert outcome.status is (
                        OutcomeStatus.FAILED if dies_by else OutcomeStatus.RESULT
                    )
                    run_ended = execution.current._ended  # type: ignore[attr-defined]
                    await asyncio.wait_for(run_ended.wait(), PATIENCE_S)
                    assert processes_of(execution) == []

        run(body())

    def test_result_comes_when_nobody_can_change_its_files_any_more(
        self, executor: ProcessExecutor, run: Run
    ) -> None:
        """A live run could replace a checked file by a link to a file of the host."""

        async def body() -> None:
            async with running(executor, probe(steps=1)) as execution:
                assert (await execution.result()).status is OutcomeStatus.RESULT
                assert processes_of(execution) == []

        run(body())

    def test_run_that_ignores_its_time_is_killed(
        self, executor: ProcessExecutor, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workers.process.execution.OVERTIME_S", 0.2)

        async def body() -> None:
            task = probe(
                steps=0, seconds=0.2, outcome="hang", limits=TaskLimits(grace_s=0.1)
            )
            outcome = await outcome_of(executor, task)
            assert outcome.status is OutcomeStatus.FAILED
            assert (outcome.termination.reason, outcome.termination.limit) == (
                Reason.RESOURCE_EXHAUSTED,
                Limit.TIME,
            )
            outcome = await outcome_of(
                executor, replace(task, spec={**task.spec, "steps": 1})
            )
            assert outcome.status is OutcomeStatus.RESULT
            assert (outcome.termination.reason, outcome.termination.limit) == (
                Reason.FEASIBLE,
                Limit.TIME,
            )
            assert "killed in phase search" in outcome.termination.detail

        run(body())

    def test_spare_that_was_killed_is_not_handed_out(
        self, executor: ProcessExecutor, run: Run
    ) -> None:
        async def body() -> None:
            for spare in list(executor._spares):
                child = await asyncio.shield(spare)
                os.killpg(child.process.pid, signal.SIGKILL)
                await child.exited.wait()
            assert (
                await outcome_of(executor, probe(steps=1))
            ).status is OutcomeStatus.RESULT

        run(body())

    def test_missing_input_is_a_passing_fault(
        self, executor: ProcessExecutor, run: Run, tmp_path: Path
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(
                executor, behaviour("look_around", inputs={"model": tmp_path / "gone"})
            )
            assert outcome.status is OutcomeStatus.TRANSIENT

        run(body())

    def test_what_a_run_can_reach(
        self, executor: ProcessExecutor, run: Run, tmp_path: Path
    ) -> None:
        secret = tmp_path / "admin.key"
        secret.write_text("hush")

        async def body() -> None:
            import json

            with socket.create_server(("127.0.0.1", 0)) as server:
                task = behaviour(
                    "look_around", number=server.getsockname()[1], path=str(secret)
                )
                async with running(executor, task) as execution:
                    outcome = await execution.result()
                    report = json.loads(outcome.produced[0].path.read_text())
            assert report["reached"] is False
            assert report["reads"] is False
            assert report["writes_code"] is False

        run(body())

    def test_killed_host_leaves_no_process(self, tmp_path: Path) -> None:
        """Also when its child is paused, or never comes back from native code."""
        code = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from tests.contracts.executor import behaviour, first\n"
            "from trimtab.results import EventType\n"
            "from workers.process.pool import ProcessExecutor\n"
            "async def main():\n"
            "    folder, sandbox = Path(sys.argv[1]), sys.argv[2]\n"
            "    made = ProcessExecutor(workers=2, scratch_dir=folder, sandbox=sandbox)\n"
            "    await made.open()\n"
            "    kinds = ('deaf', 'spawn_and_hang')\n"
            "    runs = [await made.start(behaviour(does)) for does in kinds]\n"
            "    for run in runs:\n"
            "        await first(run, EventType.INCUMBENT)\n"
            "    while made.describe()['spares'] < 2:\n"
            "        await asyncio.sleep(0.01)\n"
            "    print('running', flush=True)\n"
            "    await asyncio.sleep(300)\n"
            "asyncio.run(main())\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path), self.level]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
        ) as host:
            assert host.stdout is not None
            assert host.stdout.readline() == b"running\n"
            folders = list(tmp_path.iterdir())
            children = [pid for folder in folders for pid in process_tree.of_run(folder)]
            assert len(children) >= 4
            for pid in children[::2]:
                os.kill(pid, signal.SIGSTOP)
            host.kill()
        deadline = time.monotonic() + PATIENCE_S
        while left := [pid for folder in folders for pid in process_tree.of_run(folder)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.02)

        async def opened() -> Any:
            made = ProcessExecutor(workers=1, scratch_dir=tmp_path, sandbox=self.level)
            await made.open()
            try:
                return [folder for folder in folders if folder.exists()]
            finally:
                await made.close()

        assert asyncio.run(opened()) == [], "the next host removes what the dead one left"


class TestRlimit(ProcessContract):
    level: ClassVar[str] = "rlimit"


@pytest.mark.skipif(not bwrap_works()[0], reason="bubblewrap does not work here")
class TestBubblewrap(ProcessContract):
    level: ClassVar[str] = "bwrap"


def test_folders_of_a_living_host_are_left_alone(tmp_path: Path) -> None:
    ours = (
        tmp_path / f"trimtab-run-{os.getpid()}-{process_tree.started_at(os.getpid())}-x"
    )
    reused = tmp_path / f"trimtab-run-{os.getpid()}-1-x"
    old = tmp_path / "trimtab-run-x"
    for folder in (ours, reused, old):
        folder.mkdir()

    async def body() -> None:
        made = ProcessExecutor(workers=1, scratch_dir=tmp_path, sandbox="rlimit")
        await made.open()
        await made.close()

    asyncio.run(body())
    assert (ours.exists(), reused.exists(), old.exists()) == (True, False, False)


def test_spares_import_what_ran_last(tmp_path: Path) -> None:
    async def preloaded(executor: ProcessExecutor) -> str:
        spare = await executor._spares[0]
        words = Path(f"/proc/{spare.process.pid}/cmdline").read_text().split("\0")
        return words[words.index("--preload") + 1]

    async def body() -> list[str]:
        made = ProcessExecutor(
            workers=1, scratch_dir=tmp_path, sandbox="rlimit", preload=["json"]
        )
        await made.open()
        try:
            seen = [await preloaded(made)]
            await outcome_of(made, probe(steps=1))
            return [*seen, await preloaded(made)]
        finally:
            await made.close()

    first_spare, second_spare = asyncio.run(body())
    assert first_spare == "json"
    assert second_spare == "json,search.domains.probe"


def test_level_is_chosen_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_level("rlimit") == ("rlimit", "requested")
    with pytest.raises(ValueError, match="expected auto, rlimit or bwrap"):
        choose_level("chroot")
    monkeypatch.setattr(
        "workers.process.sandbox.bwrap_works", lambda: (False, "no user namespaces")
    )
    assert choose_level("auto") == ("rlimit", "no user namespaces")
    with pytest.raises(SandboxUnavailable, match="no user namespaces"):
        choose_level("bwrap")


def test_host_imports_no_solver_and_no_numpy() -> None:
    code = (
        "import sys, workers.executor, workers.process.pool; "
        "print(*{'numpy', 'highspy', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip() == ""
