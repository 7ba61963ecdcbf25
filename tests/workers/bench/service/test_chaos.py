"""Faults come at even shares of the work done, and a paused process is resumed."""

from __future__ import annotations

import random
import signal

import pytest

from workers.bench.service import chaos


class Victim:
    """Stand-in for a process: records the signals it gets."""

    pid = 1

    def __init__(self) -> None:
        self.signals: list[signal.Signals] = []

    def send_signal(self, number: signal.Signals) -> None:
        self.signals.append(number)


def faults(*pending: signal.Signals, lease_s: float = 0.0) -> chaos.Faults:
    return chaos.Faults(
        server=None,  # type: ignore[arg-type]
        rng=random.Random(0),
        lease_s=lease_s,
        pending=list(pending),
    )


def test_faults_are_due_by_the_share_of_jobs_that_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = Victim()
    monkeypatch.setattr(chaos, "_worker", lambda *args, **options: victim)
    stops = faults(*[signal.SIGSTOP] * 4, lease_s=100.0)
    stops.step(0.0)
    assert stops.made.total() == 1
    stops.step(0.5)
    assert stops.made.total() == 3
    stops.step(1.0)
    assert stops.made == {"SIGSTOP": 4}
    assert not stops.behind(1.0)


def test_a_paused_process_is_resumed_after_the_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = Victim()
    monkeypatch.setattr(chaos, "_worker", lambda *args, **options: victim)
    stops = faults(signal.SIGSTOP)
    stops.step(0.0)
    assert victim.signals == [signal.SIGSTOP]
    stops.step(0.0)
    assert not stops.paused
    assert victim.signals == [signal.SIGSTOP, signal.SIGCONT]


def test_a_pause_waits_for_a_busy_worker_and_a_kill_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chaos, "_worker", lambda *args, **options: None)
    both = faults(signal.SIGKILL, signal.SIGSTOP)
    next_one = both.pending[-1]
    both.step(0.0)
    assert both.made.total() == 0
    assert both.pending[0] is next_one
    assert both.behind(0.0)
