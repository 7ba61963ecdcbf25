"""What the machine says about its cores, and what is left of them for a run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time

import pytest

from search import cores
from search.cores import RoomMeter, parse_busy, parse_quota, process_cpu_s

STAT = (
    "cpu  400 0 100 1500 0 0 0 0 0 0\ncpu0 300 0 50 650 0 0 0 0 0 0\n"
    "cpu1 100 0 50 850 0 0 0 5 40 0\nintr 1 2 3\n"
)


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("max 100000", math.inf),
        ("150000 100000\n", 1.5),
        ("-1 100000", math.inf),
        ("50000 100000", 0.5),
        ("", math.inf),
        ("100000", math.inf),
        ("0 0", math.inf),
    ],
)
def test_quotas_of_both_control_groups(text: str, quota: float) -> None:
    assert parse_quota(text) == quota


def test_a_quota_below_the_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_quota", lambda: 0.5)
    assert cores.usable_cores() == 0.5
    monkeypatch.setattr(cores, "_quota", lambda: math.inf)
    assert cores.usable_cores() == len(os.sched_getaffinity(0))


def test_busy_time_counts_only_processors_of_our_affinity() -> None:
    tick = os.sysconf("SC_CLK_TCK")
    assert parse_busy(STAT, {0}) == pytest.approx(350 / tick)
    assert parse_busy(STAT, {1}) == pytest.approx(155 / tick), (
        "stolen time is busy, a guest's is counted already"
    )
    assert parse_busy(STAT, {0, 1}) == pytest.approx(505 / tick)
    assert parse_busy(STAT, {7}) is None
    assert parse_busy("", {0}) is None


def test_another_process_is_timed_by_its_own_clock() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", burn]) as process:
        try:
            until = time.monotonic() + 30
            while process_cpu_s(process.pid) < 0.3 and time.monotonic() < until:
                time.sleep(0.02)
            assert 0.3 <= process_cpu_s(process.pid) < 0.6
        finally:
            process.kill()
    assert process_cpu_s(process.pid) == 0.0, "it is gone"


class Machine:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.now = self.own = 0.0
        self.busy: float | None = 0.0

    def meter(self, machine_cores: float = 2.0) -> RoomMeter:
        return RoomMeter(
            lambda: self.own,
            cores=machine_cores,
            busy=lambda: self.busy,
            clock=lambda: self.now,
        )

    def goes_on(self, seconds: float, *, own: float, others: float) -> None:
        assert self.busy is not None
        self.now += seconds
        self.own += own * seconds
        self.busy += (own + others) * seconds


@pytest.mark.parametrize(
    ("own", "others", "room"),
    [(2.0, 0.0, 2.0), (0.2, 0.0, 2.0), (1.0, 1.0, 1.0), (0.4, 1.6, 0.4), (0.0, 2.0, 0.0)],
    ids=["alone", "alone and waiting", "a pair", "a busy machine", "starved"],
)
def test_room_is_the_share_others_leave_free(
    own: float, others: float, room: float
) -> None:
    machine = Machine()
    meter = machine.meter()
    machine.goes_on(0.1, own=own, others=others)
    assert meter.look() is None, "the window is not over"
    machine.goes_on(0.4, own=own, others=others)
    assert meter.look() == pytest.approx(room)


def test_unknown_busy_time_is_not_guessed() -> None:
    machine = Machine()
    machine.busy = None
    meter = machine.meter()
    machine.now = 1.0
    assert meter.look() is None


def test_the_real_meter_sees_another_busy_process() -> None:
    processors = len(os.sched_getaffinity(0))
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(2 * processors)
    ]
    try:
        time.sleep(0.5)
        meter = RoomMeter(time.process_time)
        time.sleep(0.5)
        room = meter.look()
        running = cores.running_processes()
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert room is not None
    assert room < 0.5 * processors
    assert running is not None
    assert running >= processors
