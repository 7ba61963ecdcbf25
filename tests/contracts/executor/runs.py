"""Results, events, inputs and failures of single runs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.contracts.executor.common import (
    Run,
    behaviour,
    outcome_of,
    probe,
    running,
    whole,
)
from trimtab.results import EventType, Reason
from workers.types import (
    Executor,
    OutcomeStatus,
)


class Runs:
    """Results, events, inputs and failures of single runs."""

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
            async with running(executor, probe(steps=4, step_seconds=0.4)) as execution:
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
            async with running(
                executor, behaviour("incumbents", number=700)
            ) as execution:
                events, _ = await whole(execution)
            took_s = time.monotonic() - began
            reported = [e for e in events if e.type is EventType.INCUMBENT]
            objectives = [e.data["objective"] for e in reported]
            assert objectives[0] == 699.0
            assert objectives[-1] == 0.0
            assert objectives == sorted(objectives, reverse=True)
            assert 2 <= len(reported) <= 10 * took_s + 2

        run(body())

    def test_inputs_arrive_by_content(
        self, executor: Executor, run: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "blob").write_text("NAME M\n")

        async def body() -> None:
            task = behaviour("look_around", inputs={"model": tmp_path / "blob"})
            async with running(executor, task) as execution:
                outcome = await execution.result()
                report = json.loads(outcome.produced[0].path.read_text())
            name, text = report["inputs"]["model"]
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
