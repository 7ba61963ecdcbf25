"""Ends of runs: stop, time, cancel, limits, death, and isolation from the host."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from tests.contracts.executor.common import (
    SECRETS,
    Run,
    _assert_best,
    behaviour,
    first,
    outcome_of,
    probe,
    running,
    whole,
)
from tests.waiting import sooner_than
from trimtab.results import EventType, Limit, Reason
from workers.types import (
    Executor,
    OutcomeStatus,
    TaskLimits,
)


class Ends:
    """Ends of runs: stop, time, cancel, limits, death, and isolation from the host."""

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
            async with running(
                executor, probe(steps=1000, step_seconds=0.1)
            ) as execution:
                await first(execution, EventType.INCUMBENT)
                with sooner_than(100):  # its 1,000 steps
                    await execution.stop()
                    outcome = await execution.result()
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
            async with running(
                executor, probe(steps=1000, step_seconds=0.1)
            ) as execution:
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
                executor,
                behaviour("write", number=9, limits=TaskLimits(file_bytes=2**20)),
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
            printed = [log for log in logs if "lines left out]" in log]
            assert all(len(log) <= 8_400 for log in printed)
            assert sum(map(len, logs)) - sum(map(len, printed)) <= 20_000

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
        # The executor's fixtures set SECRETS before it is opened, when its spares are started.
        async def body() -> None:
            async with running(executor, behaviour("look_around")) as execution:
                outcome = await execution.result()
                report = json.loads(outcome.produced[0].path.read_text())
            assert not set(report["environment"]) & set(SECRETS)
            assert not [
                value for value in report["environment"].values() if "hush" in value
            ]
            assert report["environment"]["OMP_NUM_THREADS"] == "1"
            assert len(report["files"]) <= 8, report["files"]
            assert os.path.basename(report["folder"]).startswith("trimtab-run-")

        run(body())
