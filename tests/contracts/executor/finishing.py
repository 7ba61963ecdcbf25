"""Finishing runs: checkpoints, starts, and the best solution of a dead run."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import replace

import pytest

from search.checkpoint import Checkpoint, pack, unpack
from tests.contracts.executor.common import (
    Run,
    _assert_best,
    behaviour,
    first,
    outcome_of,
    probe,
    running,
    whole,
)
from trimtab.results import EventType, Limit, Reason, Termination
from workers.types import (
    Executor,
    Finish,
    OutcomeStatus,
    TaskLimits,
)


class Finishing:
    """Finishing runs: checkpoints, starts, and the best solution of a dead run."""

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
            async with running(
                executor, probe(steps=1000, step_seconds=0.05)
            ) as execution:
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
                finish=Finish(
                    ended=Termination(reason=Reason.WORKER_LOST, detail="gone")
                ),
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
