"""A run from spec to result: phases, checkpoints, and a start from an earlier attempt."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search import pipeline
from search.checkpoint import Checkpoint, pack, unpack
from search.domains.probe import ProbeDomain
from search.pipeline import Callbacks
from search.stop import from_budget
from search.types import InvalidInput, SearchOutcome
from tests.trimtab.test_pictures import CELLS
from trimtab.pictures import read_pictures
from trimtab.results import Incumbent, Limit, Reason, Termination, VerificationStatus
from trimtab.specs.probe import ProbeSpec


def run(tmp_path: Path, domain: Any = None, **options: Any) -> pipeline.Finished:
    spec = options.pop("spec", ProbeSpec(steps=3, step_seconds=0.0))
    return pipeline.run(
        domain or ProbeDomain(),
        spec,
        inputs={},
        workdir=tmp_path,
        stop=from_budget({"seconds": 30.0}, threading.Event()),
        seed=4,
        **options,
    )


class Claims(ProbeDomain):
    """Ends its search with a prescribed outcome, without reporting anything."""

    def __init__(self, outcome: SearchOutcome) -> None:
        self._outcome = outcome

    def search(self, *_: Any, start: float | None = None) -> SearchOutcome:
        self.started = start
        return self._outcome


def start(solution: float) -> bytes:
    return pack(Checkpoint(kind="probe", solution=str(solution).encode()))


class Draws(ProbeDomain):
    """Sends a picture with each incumbent."""

    def search(self, problem: Any, encoding: Any, stop: Any, rng: Any, on: Any) -> Any:
        def with_picture(point: Incumbent, solution: Any = None, /) -> None:
            pictures = read_pictures([CELLS])
            on(point.model_copy(update={"pictures": pictures}), solution)

        return super().search(problem, encoding, stop, rng, with_picture)


def test_pictures_are_passed_on_and_kept_out_of_the_trace(tmp_path: Path) -> None:
    points: list[Incumbent] = []
    finished = run(tmp_path, Draws(), callbacks=Callbacks(on_incumbent=points.append))
    assert [len(point.pictures) for point in points] == [1] * len(points) != []
    trace = finished.result.trace
    assert len(trace) == len(points)
    assert not any(point.pictures for point in trace)


def test_phases_in_order_and_callbacks(tmp_path: Path) -> None:
    phases: list[str] = []
    incumbents: list[Incumbent] = []
    dumps: list[bytes] = []
    finished = run(
        tmp_path,
        callbacks=Callbacks(
            on_phase=lambda phase, detail: phases.append(phase),
            on_checkpoint=lambda dump: dumps.append(dump()),
            on_incumbent=incumbents.append,
        ),
    )
    assert phases == ["parse", "encode", "search", "verify", "produce"]
    assert list(finished.result.timings_s) == phases
    assert [point.objective for point in incumbents] == [2.0, 1.0, 0.0]
    assert incumbents == finished.result.trace
    assert [unpack(data, kind="probe").solution for data in dumps] == [
        b"2.0",
        b"1.0",
        b"0.0",
        b"0.0",
    ]
    assert finished.result.seed == 4
    assert finished.result.verification.status is VerificationStatus.VALID
    assert [item.name for item in finished.produced] == ["probe.txt"]


class ProvesLate(ProbeDomain):
    def search(self, problem: Any, encoding: Any, stop: Any, rng: Any, on: Any) -> Any:
        def without_bound(point: Incumbent, solution: Any = None, /) -> None:
            on(point.model_copy(update={"bound": None}), solution)

        outcome = super().search(problem, encoding, stop, rng, without_bound)
        for bound in (-1.0, 0.0):
            on(Incumbent(elapsed_s=0.0, objective=0.0, bound=bound))
        return outcome


def test_a_proof_is_kept_with_the_solution(tmp_path: Path) -> None:
    dumps: list[bytes] = []
    callbacks = Callbacks(on_checkpoint=lambda dump: dumps.append(dump()))
    run(tmp_path, ProvesLate(), callbacks=callbacks)
    kept = [unpack(data, kind="probe") for data in dumps]
    assert [(one.solution, one.bound) for one in kept][2:4] == [
        (b"0.0", None),
        (b"0.0", 0.0),
    ]


def test_invalid_input_is_raised(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="outcome: expected"):
        run(tmp_path, spec=ProbeSpec(outcome="invalid"))


def test_the_search_begins_from_an_earlier_attempt(tmp_path: Path) -> None:
    result = run(tmp_path, start=start(2.0)).result
    assert [
        (point.objective, point.source == "an earlier attempt") for point in result.trace
    ] == [
        (2.0, True),
        (1.0, False),
        (0.0, False),
    ]
    assert result.summary["started_from"] == (
        "the best solution of an earlier attempt, with objective 2.0"
    )


def test_an_unusable_start_is_no_reason_to_fail(tmp_path: Path) -> None:
    result = run(tmp_path, start=b"damaged").result
    assert result.objective == 0.0
    assert "could not be used (BadCheckpoint" in str(result.summary["started_from"])


@pytest.mark.parametrize(
    ("claimed", "solution", "reason", "limit"),
    [
        (Reason.INFEASIBLE, None, Reason.FEASIBLE, Limit.OTHER),
        (Reason.NO_SOLUTION_FOUND, None, Reason.FEASIBLE, Limit.TIME),
        (Reason.FEASIBLE, 9.0, Reason.FEASIBLE, Limit.TIME),
        (Reason.COMPLETED, 9.0, Reason.COMPLETED, None),
    ],
)
def test_a_result_is_never_worse_than_the_start(
    tmp_path: Path,
    claimed: Reason,
    solution: float | None,
    reason: Reason,
    limit: Limit | None,
) -> None:
    termination = Termination(
        reason=claimed,
        limit=Limit.TIME if limit is Limit.TIME else None,
        detail="claimed",
    )
    domain = Claims(
        SearchOutcome(
            termination=termination, solution=solution, objective=solution, bound=None
        )
    )
    result = run(tmp_path, domain, start=start(1.0)).result
    assert domain.started == 1.0
    assert result.objective == 1.0
    assert (result.termination.reason, result.termination.limit) == (reason, limit)


def test_a_better_result_than_the_start_stands(tmp_path: Path) -> None:
    outcome = SearchOutcome(
        termination=Termination(reason=Reason.COMPLETED, detail="done"),
        solution=0.0,
        objective=0.0,
        bound=0.0,
    )
    assert run(tmp_path, Claims(outcome), start=start(2.0)).result.objective == 0.0


def test_the_same_seed_gives_the_same_generator(tmp_path: Path) -> None:
    class Draws(ProbeDomain):
        def search(
            self, problem: Any, encoding: Any, stop: Any, rng: Any, *more: Any
        ) -> Any:
            self.drawn = rng.random()
            return super().search(problem, encoding, stop, rng, *more)

    domain = Draws()
    run(tmp_path, domain)
    assert domain.drawn == np.random.default_rng(4).random()
