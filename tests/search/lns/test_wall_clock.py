"""Limits in processor time."""

from __future__ import annotations

import pytest

from search.lns.wall_clock import WallClockRatio


def test_with_a_core_of_its_own_the_ratio_is_one() -> None:
    stretch = WallClockRatio()
    assert stretch.wall_s(0.3) == pytest.approx(0.3)
    for _ in range(20):
        stretch.record(wall_s=0.1, cpu_s=0.1)
    assert stretch.wall_s(0.3) == pytest.approx(0.3)
    stretch.record(wall_s=0.1, cpu_s=0.2)
    assert stretch.ratio == 1.0, "several threads make no limit shorter"


def test_with_a_fifth_of_a_core_the_ratio_is_five() -> None:
    stretch = WallClockRatio()
    for _ in range(20):
        stretch.record(wall_s=0.5, cpu_s=0.1)
    assert stretch.ratio == pytest.approx(5.0, rel=0.05)
    for _ in range(20):
        stretch.record(wall_s=0.1, cpu_s=0.1)
    assert stretch.ratio == pytest.approx(1.0, rel=0.05), "it forgets"


def test_the_ratio_is_bounded() -> None:
    stretch = WallClockRatio()
    for _ in range(20):
        stretch.record(wall_s=100.0, cpu_s=0.0)
    assert stretch.ratio == 40.0
