"""What every executor must do. A subclass gives the fixtures `executor` and `runner`; `kills`: it has a child to kill.

`runner` keeps one event loop for all tests of a class, because an executor lives on its loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from search.checkpoint import Checkpoint, pack, unpack
from trimtab.results import EventType, Limit, Reason, Termination
from workers.types import (
    Execution,
    Executor,
    Finish,
    Outcome,
    OutcomeStatus,
    Progress,
    Task,
    TaskLimits,
)

Run = Callable[[Awaitable[None]], None]


def probe(
    number: int = 0, *, seconds: float = 30.0, limits: TaskLimits | None = None, **spec: Any
) -> Task:
    return Task(
        job_id=f"job-{number}",
        fence=1,
        kind="probe",
        builder="search.domains.probe:build",
        spec_class="trimtab.specs.probe:ProbeSpec",
        spec=spec,
        seed=number,
        budget={"seconds": seconds},
        limits=limits or TaskLimits(),
    )


def behaviour(
    does: str,
    *,
    seconds: float = 30.0,
    limits: TaskLimits | None = None,
    inputs: dict[str, Path] | None = None,
    **spec: Any,
) -> Task:
    return Task(
        job_id="job",
        fence=1,
        kind="behaviour",
        builder="tests.workers.behaviour:build",
        spec_class="tests.workers.behaviour:BehaviourSpec",
        spec={"does": does, **spec},
        seed=0,
        budget={"seconds": seconds},
        inputs=inputs or {},
        input_names={name: "../../model.mps" for name in inputs or {}},
        limits=limits or TaskLimits(),
    )


@asynccontextmanager
async def running(executor: Executor, task: Task) -> AsyncIterator[Execution]:
    execution = await executor.start(task)
    try:
        yield execution
    finally:
        await execution.cancel()
        await execution.close()


async def outcome_of(executor: Executor, task: Task) -> Outcome:
    async with running(executor, task) as execution:
        return await execution.result()


async def first(execution: Execution, kind: EventType) -> Progress:
    async for progress in execution.events():
        if progress.type is kind:
            return progress
    raise AssertionError(f"the run ended without a {kind}")


async def whole(execution: Execution) -> tuple[list[Progress], Outcome]:
    events = [progress async for progress in execution.events()]
    return events, await execution.result()


def _assert_best(outcome: Outcome, *, objective: float, limit: Limit, detail: str) -> None:
    """The run ended early, and the best that it had reported is its verified result."""
    assert outcome.status is OutcomeStatus.RESULT, outcome.termination
    assert (outcome.termination.reason, outcome.termination.limit) == (
        Reason.FEASIBLE,
        limit,
    )
    assert detail in outcome.termination.detail
    assert outcome.result is not None
    assert outcome.result["objective"] == objective
    assert outcome.result["verification"]["status"] == "valid"
    assert any(detail in note for note in outcome.result["summary"]["notes"])
    assert outcome.produced, "the files are written too"
    assert all(file.path.is_file() for file in outcome.produced)


class ExecutorContract:
    """Subclass as Test…; the fixtures are `executor` (opened) and `runner`."""

    kills: ClassVar[bool] = (
        True  # False: runs in a thread, which can be asked and not killed
    )

    @pytest.fixture
    def run(self, runner: asyncio.Runner) -> Run:
        def call(body: Awaitable[None]) -> None:
            async def bounded() -> None:
                async with asyncio.timeout(60):
                    await body

            runner.run(bounded())

        return call

    @pytest.fixture
    def killing(self) -> None:
        if not self.kills:
            pytest.skip("a thread cannot be killed")

    def test_succeeds_with_result_file_and_usage(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, probe(7, steps=3)) as execution:
                outcome = await execution.result()
                assert outcome.status is OutcomeStatus.RESULT
                assert outcome.termination.reason is Reason.COMPLETED
                assert outcome.result is not None
                assert (outcome.result["objective"], outcome.result["seed"]) == (0.0, 7)
                assert outcome.result["verification"]["status"] == "valid"
                (file,) = outcome.produced
                assert (file.name, file.media_type) == ("probe.txt", "text/plain")
                assert file.path.read_text() == "0\n"
                assert outcome.usage["wall_s"] > 0
            assert not file.path.exists(), "close() removes the run folder"

        run(body())

    def test_events_come_in_order_and_end(self, executor: Executor, run: Run) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=4, step_seconds=0.12)) as execution:
                events, _ = await whole(execution)
            phases = [e.data["phase"] for e in events if e.type is EventType.PHASE]
            assert phases == ["parse", "encode", "search", "verify", "produce"]
            assert [
                e.data["objective"] for e in events if e.type is EventType.INCUMBENT
            ] == [3.0, 2.0, 1.0, 0.0]
            times = [e.elapsed_s for e in events]
            assert times == sorted(times)

        run(body())

    def test_throttles_to_ten_a_second_and_keeps_the_newest(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            began = time.monotonic()
            async with running(executor, behaviour("incumbents", number=700)) as execution:
                events, _ = await whole(execution)
            took_s = time.monotonic() - began
            told = [e for e in events if e.type is EventType.INCUMBENT]
            objectives = [e.data["objective"] for e in told]
            assert objectives[0] == 699.0
            assert objectives[-1] == 0.0
            assert objectives == sorted(objectives, reverse=True)
            assert 3 <= len(told) <= 10 * took_s + 2

        run(body())

    def test_inputs_arrive_by_content(
        self, executor: Executor, run: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "blob").write_text("NAME M\n")

        async def body() -> None:
            task = behaviour("look_around", inputs={"model": tmp_path / "blob"})
            async with running(executor, task) as execution:
                outcome = await execution.result()
                told = json.loads(outcome.produced[0].path.read_text())
            name, text = told["inputs"]["model"]
            assert text == "NAME M\n"
            assert "/" not in name

        run(body())

    def test_refused_solution_is_never_a_success(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(executor, behaviour("lie"))
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.termination.reason is Reason.VERIFICATION_FAILED
            assert outcome.produced == ()

        run(body())

    @pytest.mark.parametrize(
        ("does", "reason"),
        [("invalid", Reason.INVALID_INPUT), ("raise", Reason.INTERNAL_ERROR)],
    )
    def test_exceptions_are_failures_that_say_why(
        self, executor: Executor, run: Run, does: str, reason: Reason
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(executor, probe(steps=0, outcome=does))
            assert (outcome.status, outcome.termination.reason) == (
                OutcomeStatus.FAILED,
                reason,
            )
            assert does in outcome.termination.detail

        run(body())

    def test_exceptions_after_an_incumbent_cost_only_the_rest(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, probe(3, steps=2, outcome="raise")) as execution:
                _assert_best(
                    await execution.result(),
                    objective=0.0,
                    limit=Limit.OTHER,
                    detail="in phase search",
                )

        run(body())

    @pytest.mark.parametrize("phase", ["verify", "produce"])
    def test_exceptions_after_the_search_are_survived(
        self, executor: Executor, run: Run, phase: str
    ) -> None:
        """They come once: a domain that always fails there fails again, and the run with it."""

        async def body() -> None:
            async with running(
                executor, behaviour("incumbents", number=3, fails_in=phase)
            ) as execution:
                outcome = await execution.result()
            assert outcome.status is OutcomeStatus.FAILED
            assert "could not be finished either" in outcome.termination.detail

        run(body())

    def test_decorations_cost_only_themselves(self, executor: Executor, run: Run) -> None:
        async def body() -> None:
            async with running(
                executor, behaviour("incumbents", number=3, fails_in="extra")
            ) as execution:
                outcome = await execution.result()
                assert outcome.status is OutcomeStatus.RESULT
                assert [file.name for file in outcome.produced] == ["told.json"]
            assert outcome.result is not None
            (note,) = outcome.result["summary"]["notes"]
            assert note == "curve.svg was left out: ZeroDivisionError: flat"

        run(body())

    def test_checkpoint_is_the_newest_reported_solution(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=1000, step_seconds=0.05)) as execution:
                await first(execution, EventType.INCUMBENT)
                for _number in range(100):
                    data = await execution.checkpoint()
                    if data is not None:
                        break
                    await asyncio.sleep(0.05)
                assert data is not None
                packed = unpack(data, kind="probe")
            assert 0 <= json.loads(packed.solution) < 1000
            assert packed.trace

        run(body())

    def test_starts_from_an_earlier_attempts_solution(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            data = pack(Checkpoint(kind="probe", solution=b"4.0"))
            async with running(
                executor, replace(probe(steps=1000), start=data)
            ) as execution:
                events, outcome = await whole(execution)
            objectives = [
                e.data["objective"] for e in events if e.type is EventType.INCUMBENT
            ]
            assert max(objectives) <= 4.0
            assert outcome.result is not None
            assert outcome.result["objective"] == 0.0
            assert "earlier attempt" in outcome.result["summary"]["started_from"]

        run(body())

    @pytest.mark.parametrize(
        "data",
        [
            b"nonsense",
            pack(Checkpoint(kind="probe", solution=b'"x"')),
            pack(Checkpoint(kind="ilp", solution=b"4.0")),
            pack(Checkpoint(kind="probe", solution=b""))[:-3],
        ],
        ids=["nonsense", "domain", "kind", "cut"],
    )
    def test_bad_starts_cost_nothing(
        self, executor: Executor, run: Run, data: bytes
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(executor, replace(probe(steps=2), start=data))
            assert outcome.status is OutcomeStatus.RESULT
            assert outcome.result is not None
            assert "began anew" in outcome.result["summary"]["started_from"]

        run(body())

    def test_finishing_alone_makes_a_result(self, executor: Executor, run: Run) -> None:
        """The last attempt of a job whose workers were lost: nothing is searched."""

        async def body() -> None:
            ended = Termination(reason=Reason.WORKER_LOST, detail="the lease ran out")
            task = replace(
                probe(steps=1000, step_seconds=60, outcome="hang"),
                start=pack(Checkpoint(kind="probe", solution=b"4.0")),
                finish=Finish(ended=ended),
            )
            async with running(executor, task) as execution:
                _assert_best(
                    await execution.result(),
                    objective=4.0,
                    limit=Limit.OTHER,
                    detail="the lease ran out",
                )

        run(body())

    def test_best_that_is_refused_afterwards_is_no_result(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            task = replace(
                probe(steps=3),
                start=pack(Checkpoint(kind="probe", solution=b"77.0")),
                finish=Finish(ended=Termination(reason=Reason.WORKER_LOST, detail="gone")),
            )
            outcome = await outcome_of(executor, task)
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.produced == ()

        run(body())

    @pytest.mark.parametrize("phase", ["search", "verify", "produce"])
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
    def test_killed_child_leaves_its_best(
        self, executor: Executor, run: Run, killing: None, phase: str, number: int
    ) -> None:
        async def body() -> None:
            task = behaviour("incumbents", number=5, dies_in=phase, dies_by=int(number))
            async with running(executor, task) as execution:
                outcome = await execution.result()
            assert outcome.status is OutcomeStatus.RESULT
            assert outcome.result is not None
            assert outcome.result["objective"] == (1.0 if phase == "search" else 0.0)
            assert phase in outcome.termination.detail
            assert signal.Signals(number).name in outcome.termination.detail
            assert (outcome.termination.reason, outcome.termination.limit) == (
                Reason.FEASIBLE,
                Limit.OTHER,
            )
            assert outcome.result["verification"]["status"] == "valid"
            left_out = [
                note for note in outcome.result["summary"]["notes"] if "left out" in note
            ]
            assert bool(left_out) == (phase == "produce"), (
                "what may have killed it is not tried again"
            )

        run(body())

    def test_exhausted_processor_time_leaves_the_best(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            async with running(
                executor, behaviour("report_and_burn", limits=TaskLimits(cpu_s=2))
            ) as execution:
                _assert_best(
                    await execution.result(),
                    objective=1.0,
                    limit=Limit.TIME,
                    detail="processor time",
                )

        run(body())

    def test_forked_parser_that_crashes_is_the_inputs_fault(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(executor, behaviour("crash_forked_parser"))
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.termination.reason is Reason.INPUT_CRASHED_PARSER
            assert "SIGSEGV" in outcome.termination.detail

        run(body())

    def test_stop_keeps_the_best(self, executor: Executor, run: Run) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=1000, step_seconds=0.05)) as execution:
                await first(execution, EventType.INCUMBENT)
                began = time.monotonic()
                await execution.stop()
                outcome = await execution.result()
                assert time.monotonic() - began < 2.5
            assert outcome.status is OutcomeStatus.RESULT
            assert (outcome.termination.reason, outcome.termination.limit) == (
                Reason.FEASIBLE,
                Limit.STOPPED,
            )
            assert outcome.result is not None
            assert outcome.result["objective"] is not None

        run(body())

    def test_time_ends_it_with_the_best(self, executor: Executor, run: Run) -> None:
        async def body() -> None:
            outcome = await outcome_of(
                executor, probe(seconds=0.4, steps=1000, step_seconds=0.1)
            )
            assert outcome.status is OutcomeStatus.RESULT
            assert outcome.termination.limit is Limit.TIME
            assert outcome.usage["wall_s"] < 3.0

        run(body())

    def test_cancel_discards_whatever_came(self, executor: Executor, run: Run) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=1000, step_seconds=0.05)) as execution:
                await first(execution, EventType.INCUMBENT)
                await execution.cancel()
                await execution.cancel()
                outcome = await execution.result()
            assert (outcome.status, outcome.termination.reason) == (
                OutcomeStatus.CANCELLED,
                Reason.CANCELLED,
            )
            assert outcome.result is None

        run(body())

    def test_stop_and_cancel_after_the_end_change_nothing(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            async with running(executor, probe(steps=1)) as execution:
                before = await execution.result()
                await execution.stop()
                assert (
                    (await execution.result()).status
                    is before.status
                    is OutcomeStatus.RESULT
                )

        run(body())

    def test_many_in_a_row(self, executor: Executor, run: Run) -> None:
        async def body() -> None:
            for number in range(5):
                assert (
                    await outcome_of(executor, probe(number, steps=1))
                ).status is OutcomeStatus.RESULT

        run(body())

    def test_dead_parser_is_the_inputs_fault(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            async with running(executor, behaviour("crash_parser")) as execution:
                events, outcome = await whole(execution)
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.termination.reason is Reason.INPUT_CRASHED_PARSER
            assert "SIGSEGV" in outcome.termination.detail
            assert "parse" in outcome.termination.detail
            assert any(
                "about to read from nowhere" in e.data["message"]
                for e in events
                if e.type is EventType.LOG
            )

        run(body())

    def test_memory_is_limited(self, executor: Executor, run: Run, killing: None) -> None:
        async def body() -> None:
            limits = TaskLimits(memory_bytes=2**30)
            outcome = await outcome_of(
                executor, probe(steps=0, outcome="allocate", limits=limits)
            )
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.termination.reason is Reason.RESOURCE_EXHAUSTED
            assert outcome.termination.limit is Limit.MEMORY
            async with running(
                executor, probe(steps=2, outcome="allocate", limits=limits)
            ) as execution:
                _assert_best(
                    await execution.result(),
                    objective=0.0,
                    limit=Limit.MEMORY,
                    detail="memory",
                )

        run(body())

    def test_file_size_is_limited(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(
                executor, behaviour("write", number=9, limits=TaskLimits(file_bytes=2**20))
            )
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.termination.reason is Reason.RESOURCE_EXHAUSTED

        run(body())

    def test_processor_time_is_limited(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(
                executor, behaviour("burn", limits=TaskLimits(cpu_s=2))
            )
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.termination.reason is Reason.RESOURCE_EXHAUSTED
            assert outcome.termination.limit is Limit.TIME

        run(body())

    def test_stop_kills_what_does_not_listen(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            async with running(
                executor, probe(steps=1, outcome="hang", limits=TaskLimits(grace_s=0.3))
            ) as execution:
                await first(execution, EventType.INCUMBENT)
                await execution.stop()
                _assert_best(
                    await execution.result(),
                    objective=0.0,
                    limit=Limit.STOPPED,
                    detail="stopped",
                )

        run(body())

    def test_cancel_of_a_finishing_run_discards_it(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            task = behaviour(
                "incumbents",
                number=5,
                dies_in="search",
                dies_by=int(signal.SIGKILL),
                slow_restore=60,
            )
            async with running(executor, task) as execution:
                async for progress in execution.events():
                    if (
                        progress.type is EventType.PHASE
                        and progress.data["phase"] == "search"
                    ):
                        break
                await asyncio.sleep(1.0)
                await execution.cancel()
                outcome = await execution.result()
            assert outcome.status is OutcomeStatus.CANCELLED
            assert outcome.result is None

        run(body())

    def test_floods_of_output_are_bounded(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            async with running(executor, behaviour("flood", number=20)) as execution:
                events, outcome = await whole(execution)
            assert outcome.status is OutcomeStatus.FAILED
            logs = [e.data["message"] for e in events if e.type is EventType.LOG]
            assert logs
            assert logs[-1].endswith("these were its last words")
            assert sum(map(len, logs)) <= 20_000

        run(body())

    def test_two_at_once_do_not_meet(
        self, executor: Executor, run: Run, killing: None
    ) -> None:
        async def body() -> None:
            async with (
                running(executor, probe(1, steps=1, outcome="hang")) as hanging,
                running(executor, probe(2, steps=1)) as other,
            ):
                assert (await other.result()).status is OutcomeStatus.RESULT
                await hanging.cancel()
                assert (await hanging.result()).status is OutcomeStatus.CANCELLED

        run(body())

    def test_secrets_and_files_of_the_host_do_not_reach_a_run(
        self, executor: Executor, run: Run, killing: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The fixtures of an executor set SECRETS before it is opened: its spares are started with what it has then.
        async def body() -> None:
            async with running(executor, behaviour("look_around")) as execution:
                outcome = await execution.result()
                told = json.loads(outcome.produced[0].path.read_text())
            assert not set(told["environment"]) & set(SECRETS)
            assert not [value for value in told["environment"].values() if "hush" in value]
            assert told["environment"]["OMP_NUM_THREADS"] == "1"
            assert len(told["files"]) <= 8, told["files"]
            assert os.path.basename(told["folder"]).startswith("trimtab-run-")

        run(body())


SECRETS = {
    "TRIMTAB_DATABASE_URL": "postgresql://u:hush@db/x",
    "DATABASE_URL": "postgresql://u:hush@db/x",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "TRIMTAB_API_KEY": "tt_1_hush",
}
