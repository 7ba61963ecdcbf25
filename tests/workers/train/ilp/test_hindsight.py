"""Runs read backwards: positives gained, negatives were closed without a gain."""

from __future__ import annotations

import numpy as np

from search.lns.observer import Repair
from solvers.feasibility import is_feasible
from workers.corpus import integer_programs
from workers.train.ilp.hindsight import HindsightParams, labelled
from workers.train.ilp.published import collect_hindsight
from workers.train.ilp.trial import Log

N = 12
WHOLE = np.ones(N, dtype=bool)


def point(*ones: int) -> np.ndarray:
    x = np.zeros(N)
    x[list(ones)] = 1.0
    return x


def failed(at: np.ndarray, *free: int) -> Repair:
    return Repair(
        arm="random", before=at, free=np.isin(np.arange(N), free), proved=True, after=None
    )


def logged() -> Log:
    """Objectives 10 → 9 → 5: the second improvement is where the gain is."""
    log = Log()
    log.on_improvement(10.0, point(0, 1), "start")
    for place in (5, 6, 7, 8):
        log.on_repair(failed(log.incumbents[-1][1], place, place + 1))
    log.on_improvement(9.0, point(0, 2), "lns:random")
    log.on_repair(failed(log.incumbents[-1][1], 9, 10))
    log.on_improvement(5.0, point(3, 2), "lns:random")
    return log


def test_positives_are_unions_of_changed_variables() -> None:
    first = labelled(
        logged(), HindsightParams(least_negatives=4), np.random.default_rng(0), WHOLE
    )[0]
    assert (first.x == point(0, 1)).all()
    # 10 → 9 alone is a fifth of the gain: not half of it. 10 → 5 goes through 0, 1, 2 and 3.
    assert [np.flatnonzero(row).tolist() for row in first.positives] == [[0, 1, 2, 3]]
    assert first.gains.tolist() == [1.0]


def test_negatives_were_closed_and_come_from_incumbents_around_too() -> None:
    first = labelled(
        logged(), HindsightParams(least_negatives=4), np.random.default_rng(0), WHOLE
    )[0]
    sets = sorted(tuple(np.flatnonzero(row)) for row in first.negatives)
    assert sets == [(5, 6), (6, 7), (7, 8), (8, 9), (9, 10)]


def test_a_set_that_holds_the_next_gain_is_no_negative() -> None:
    log = logged()
    # Failed at the second incumbent, would have gained at the first.
    log.failed[1].append(np.isin(np.arange(N), [1, 2, 11]))
    first = labelled(
        log, HindsightParams(least_negatives=4), np.random.default_rng(0), WHOLE
    )[0]
    assert [1, 2, 11] not in [np.flatnonzero(row).tolist() for row in first.negatives]


def test_steps_that_were_not_proved_or_gained_teach_nothing() -> None:
    log = logged()
    at = log.incumbents[0][1]
    log.on_repair(
        Repair(
            arm="rins", before=at, free=np.ones(N, dtype=bool), proved=False, after=None
        )
    )
    log.on_repair(
        Repair(
            arm="rins",
            before=at,
            free=np.ones(N, dtype=bool),
            proved=True,
            after=point(3),
        )
    )
    assert log.failed[-1] == []


def test_an_ordinary_run_teaches() -> None:
    """Three seconds on a set cover: feasible points, and positives that lead to better ones."""
    states = collect_hindsight(
        "set-cover",
        7,
        HindsightParams(seconds=3.0, least_negatives=1),
        say=lambda text: None,
    )
    model = integer_programs.generate("set-cover", "1/5", 7)
    assert states
    for state in states:
        assert is_feasible(model, state.x)
        assert state.positives.any(axis=1).all()
        assert (state.gains >= 0.5).all()
        assert state.gains.max() <= 1.0 + 1e-9


def test_continuous_variables_are_in_no_set() -> None:
    """Flows change with every step and are free in every neighbourhood: they label nothing."""
    integer = np.arange(N) < 9
    log = logged()
    for failures in log.failed:
        failures[:] = [free | ~integer for free in failures]
    flows = log.incumbents[-1][1]
    flows[10] = 7.0
    for state in labelled(
        log, HindsightParams(least_negatives=1), np.random.default_rng(0), integer
    ):
        assert not state.positives[:, ~integer].any()
        assert not state.negatives[:, ~integer].any()
        assert state.positives.any(axis=1).all()
