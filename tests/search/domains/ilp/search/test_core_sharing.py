"""Sharing of the cores among the processes of a run."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from search.domains.ilp.search import core_sharing
from search.domains.ilp.search.core_sharing import (
    CREDIT_S,
    LEAST_S,
    MOST_S,
    Account,
    CoreSharing,
    RaceState,
    is_crowded,
    others_run,
    share,
)


def standing(**more: Any) -> RaceState:
    values = {
        "solved": True,
        "helpers_lead": False,
        "gap": 0.01,
        "covers": False,
        "engine_s": 5.0,
        "since_better_s": 0.5,
    } | more
    return RaceState(**values)


def test_the_engine_comes_first_until_helpers_lead() -> None:
    assert share(standing(solved=False, helpers_lead=True, since_better_s=5.0)) <= 0.1
    assert share(standing()) == pytest.approx(0.1)
    assert share(standing(helpers_lead=True)) == 1.0
    assert 0.1 < share(standing(engine_s=20.0, since_better_s=8.0)) < 1.0, (
        "a stalled engine makes way"
    )
    assert share(standing(engine_s=100.0, since_better_s=8.0)) == pytest.approx(0.1), (
        "that is no stall yet"
    )


@pytest.mark.parametrize("gap", [1.0, 0.5, 0.2, 0.1, 0.05, 0.001, 0.0])
@pytest.mark.parametrize("lead", [True, False])
def test_a_slower_engine_costs_a_twentieth_of_a_second_a_second(
    gap: float, lead: bool
) -> None:
    """Above the tenth that helpers always have. A solution of the wrong sign gives them no more."""
    earned = share(standing(helpers_lead=lead, gap=gap, since_better_s=4.0))
    assert earned == pytest.approx(0.1) or earned * gap <= 0.05 + 1e-9
    assert share(
        standing(helpers_lead=lead, gap=1.0, since_better_s=4.0)
    ) == pytest.approx(0.1)


def test_helpers_that_lead_on_covers_and_packings_get_half() -> None:
    assert share(standing(helpers_lead=True, gap=1.0, covers=True)) == 1.0
    assert share(standing(helpers_lead=False, gap=1.0, covers=True)) == pytest.approx(0.1)
    assert share(standing(solved=False, helpers_lead=False, gap=1.0, covers=True)) <= 0.1


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("engine_s", [0.5, 3.0, 60.0])
def test_before_the_first_solution_the_engine_loses_a_tenth_and_half_a_second_at_most(
    seconds: float, engine_s: float
) -> None:
    """One core, in steps of `seconds`: the wall clock until the engine has used `engine_s`."""
    account, running, engine, helpers = Account(), True, 0.0, 0.0
    while engine < engine_s:
        by_helpers = seconds / 2 if running else 0.0  # the kernel halves a core among two
        by_engine = seconds - by_helpers
        engine, helpers = engine + by_engine, helpers + by_helpers
        earned = share(standing(solved=False, engine_s=engine))
        account = account.after(engine_s=by_engine, helpers_s=by_helpers, share=earned)
        running = account.may_run(running=running)
    assert engine + helpers <= 1.1 * engine_s + 0.5
    assert helpers > 0


def test_the_account_neither_saves_nor_owes_for_ever() -> None:
    assert Account().balance_s == CREDIT_S
    assert Account().after(engine_s=100.0, helpers_s=0.0, share=0.1).balance_s == MOST_S
    assert Account().after(engine_s=0.0, helpers_s=100.0, share=0.1).balance_s == LEAST_S


def test_a_paused_helper_waits_for_a_whole_slice() -> None:
    nearly = Account(balance_s=0.001)
    assert nearly.may_run(running=True)
    assert not nearly.may_run(running=False)
    assert Account(balance_s=0.1).may_run(running=False)
    assert not Account(balance_s=0.0).may_run(running=True)


@pytest.mark.parametrize(
    ("before", "rooms", "cores", "after"),
    [
        (False, (2.0,), 2.0, False),
        (False, (1.9, 1.8), 2.0, False),
        (False, (1.0,), 2.0, True),
        (True, (1.9,), 2.0, True),
        (True, (1.9, 1.9), 2.0, False),
        (False, (), 2.0, False),
        (True, (), 2.0, True),
        (False, (8.0, 8.0), 1.0, True),
        (False, (0.3,), 2.0, True),
    ],
)
def test_when_it_is_crowded(
    before: bool, rooms: tuple[float, ...], cores: float, after: bool
) -> None:
    assert is_crowded(before, rooms, cores=cores) is after


@pytest.mark.parametrize(
    ("running", "own", "cores", "crowded"),
    [
        (1, 1, 2.0, False),
        (2, 2, 2.0, False),
        (3, 2, 2.0, True),
        (9, 1, 16.0, False),
        (None, 1, 2.0, False),
    ],
)
def test_the_first_look(
    running: int | None, own: int, cores: float, crowded: bool
) -> None:
    assert others_run(running, own, cores=cores) is crowded


class Process:
    """Stand-in for a NativeProcess that uses a share of a core."""

    def __init__(self, share_of_core: float) -> None:
        self.cpu_s, self.paused, self.alive = 0.0, False, True
        self._share = share_of_core

    def run_for(self, seconds: float) -> None:
        self.cpu_s += 0.0 if self.paused else self._share * seconds

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Reader(Process):
    reading = False


def shared(
    monkeypatch: pytest.MonkeyPatch,
    *,
    threads: int,
    seconds: float,
    room: float,
    objective: float = math.inf,
) -> tuple[Process, Process, Reader]:
    """Engine, helper and reader after `seconds` of a run with `room` cores left to it."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(core_sharing, "usable_cores", lambda: 2.0)
    monkeypatch.setattr(core_sharing, "running_processes", lambda: 1)
    monkeypatch.setattr(core_sharing.RoomMeter, "look", lambda self: room)
    engine, helper, reader = Process(1.0), Process(1.0), Reader(0.0)
    checker: Any = reader
    sharing = CoreSharing(threads=threads, checker=checker, budget_s=1000.0)
    processes: Any = {"engine": engine, "lns": helper}
    while now < 1000.0 + seconds:
        now += 0.05
        for process in (engine, helper, reader):
            process.run_for(0.05)
        sharing.tick(processes, objective=objective, bound=-math.inf, helpers_lead=False)
    return engine, helper, reader


def test_with_room_no_process_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, helper, _reader = shared(monkeypatch, threads=2, seconds=5.0, room=2.0)
    assert engine.cpu_s == pytest.approx(5.0, abs=0.1)
    assert helper.cpu_s == pytest.approx(5.0, abs=0.1)


def test_without_room_helpers_work_on_account(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, helper, reader = shared(monkeypatch, threads=2, seconds=5.0, room=1.0)
    assert engine.cpu_s == pytest.approx(5.0, abs=0.1), (
        "two threads: the engine is never paused"
    )
    assert 0.2 < helper.cpu_s < CREDIT_S + 0.1 * 5.0 + 0.1
    assert reader.paused == helper.paused, (
        "before a solution the reader waits with the helpers"
    )
    _engine, _helper, reader = shared(
        monkeypatch, threads=2, seconds=5.0, room=1.0, objective=7.0
    )
    assert not reader.paused, "once there is a solution its check is wanted"


def test_one_thread_is_one_core_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, helper, _reader = shared(monkeypatch, threads=1, seconds=10.0, room=2.0)
    assert engine.cpu_s + helper.cpu_s <= 10.0 + 0.2, (
        "not two cores at once, although the machine has room"
    )
    assert helper.cpu_s > 0.3
    assert engine.cpu_s > 8.5


def test_a_waiting_helper_does_not_hold_up_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Process, "run_for", lambda self, seconds: None)
    engine, helper, _reader = shared(monkeypatch, threads=1, seconds=1.0, room=2.0)
    assert not helper.paused
    assert not engine.paused
